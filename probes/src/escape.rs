//! Containers that a function makes and keeps to itself until it returns: nothing they hold can be raced on, so nothing
//! of them is watched. When in doubt, a container counts as shared.

use crate::access::{called_name, makes_own};
use crate::call::Call;
use crate::code::Code;
use crate::effect::branches;
use crate::flow::{Flow, Value};
use crate::ident::{Idents, SUBSCRIPT};
use crate::method;
use crate::opcode::Op;

/// By value: is it a container made here that never leaves the function?
#[must_use]
pub fn kept(code: &Code, flow: &Flow, idents: &Idents) -> Vec<bool> {
    let mut kept = vec![false; flow.values()];
    let mut any = false;
    for index in 0..flow.list().len() {
        let value = flow.output(index, 0);
        if flow.reached(index)
            && flow.maker(value).is_some_and(|(maker, _)| maker == index)
            && makes_own(code, flow, idents, value)
        {
            mark(&mut kept, value, true);
            any = true;
        }
    }
    if !any {
        return kept;
    }
    let mut used = vec![false; flow.values()];
    for (index, instruction) in flow.list().iter().enumerate() {
        let quiet = quiet_uses(code, flow, idents, index, instruction.op, instruction.arg);
        for (place, value) in flow.uses(index).iter().enumerate() {
            mark(&mut used, *value, true);
            if !quiet.contains(place) {
                mark(&mut kept, *value, false);
            }
        }
    }
    // What a phi stands for is used wherever the phi is.
    for _ in 0..4 {
        for phi in 0..flow.phis.len() {
            let value = flow.phi_value(phi);
            if used.get(value as usize) == Some(&true) {
                for operand in flow.phis.get(phi).map_or(&[][..], |phi| phi.operands.as_slice()) {
                    mark(&mut used, *operand, true);
                    mark(&mut kept, *operand, false);
                }
            }
        }
    }
    kept
}

fn mark(list: &mut [bool], value: Value, to: bool) {
    if let Some(entry) = list.get_mut(value as usize) {
        *entry = to;
    }
}

/// Which operands an instruction only looks at.
enum Quiet {
    All,
    None,
    From(usize),
    Only(usize),
}

impl Quiet {
    fn contains(&self, place: usize) -> bool {
        match self {
            Quiet::All => true,
            Quiet::None => false,
            Quiet::From(first) => place >= *first,
            Quiet::Only(only) => place == *only,
        }
    }
}

fn quiet_uses(code: &Code, flow: &Flow, idents: &Idents, index: usize, op: Op, arg: u32) -> Quiet {
    match op {
        // The stored value leaves; the container and the key do not.
        Op::StoreSubscr => Quiet::Only(1),
        Op::StoreSlice
        | Op::BinarySubscr
        | Op::BinarySlice
        | Op::DeleteSubscr
        | Op::ContainsOp
        | Op::CompareOp
        | Op::IsOp
        | Op::GetIter
        | Op::ForIter
        | Op::ToBool
        | Op::UnaryNot
        | Op::UnpackSequence
        | Op::UnpackEx
        | Op::GetLen
        | Op::FormatSimple
        | Op::FormatWithSpec
        | Op::FormatValue
        | Op::ConvertValue
        | Op::ListExtend
        | Op::SetUpdate
        | Op::DictUpdate
        | Op::DictMerge
        | Op::LoadMethod
        // Nothing of this activation follows: what it did to the container was done before anybody else could have it.
        | Op::ReturnValue => Quiet::All,
        Op::BinaryOp if arg <= SUBSCRIPT => Quiet::All,
        Op::ListAppend | Op::SetAdd | Op::MapAdd => Quiet::Only(0),
        Op::LoadAttr if flow.output(index + 1, 0) - flow.output(index, 0) == 2 => Quiet::All,
        op if branches(op) => Quiet::All,
        _ => {
            let Some(call) = Call::at(flow, code, index) else { return Quiet::None };
            let Some(name) = called_name(code, idents, &call) else { return Quiet::None };
            match call.receiver {
                None if method::function_named(name).is_some_and(|known| !matches!(known.name, "map" | "filter" | "zip")) => {
                    Quiet::All
                }
                None => Quiet::None,
                Some(_) if matches!(name, "join" | "extend" | "update") => Quiet::From(0),
                Some(_) => Quiet::Only(1),
            }
        }
    }
}
