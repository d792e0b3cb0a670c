//! Containers that a function makes and keeps to itself until it returns: nothing they hold can be raced on, so nothing
//! of them is watched. When in doubt, a container counts as shared.

use crate::access::{called_name, makes_own};
use crate::call::Call;
use crate::code::Code;
use crate::effect::branches;
use crate::flow::{Flow, MOST_JOINED, Value};
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
    // A phi is as private as what it stands for, where that is known whole.
    for (number, phi) in flow.phis.iter().enumerate() {
        mark(&mut kept, flow.phi_value(number), flow.minor > 8 && phi.operands.len() < MOST_JOINED);
    }
    let mut used = vec![false; flow.values()];
    let mut same = Same::new(flow.values());
    for (index, instruction) in flow.list().iter().enumerate() {
        if instruction.op == Op::PopTop {
            continue;
        }
        let quiet = quiet_uses(code, flow, idents, index, instruction.op, instruction.arg);
        for (place, value) in flow.uses(index).iter().enumerate() {
            mark(&mut used, *value, true);
            if !quiet.contains(place) {
                mark(&mut kept, *value, false);
            }
        }
        if let (true, Some(container)) = (grows(instruction.op), flow.uses(index).first()) {
            same.join(flow.output(index, 0), *container);
        }
    }
    same.join_phis(flow, &mut used);
    same.all_or_none(&mut kept);
    kept
}

/// The result is the container itself, with more in it.
fn grows(op: Op) -> bool {
    matches!(op, Op::ListAppend | Op::SetAdd | Op::MapAdd | Op::ListExtend | Op::SetUpdate | Op::DictUpdate | Op::DictMerge)
}

/// Values that may be one object, in sets: each names one nearer to the set's first.
struct Same(Vec<Value>);

impl Same {
    fn new(values: usize) -> Same {
        Same((0..values as Value).collect())
    }

    fn first(&mut self, value: Value) -> Value {
        let mut at = value;
        while let Some(&next) = self.0.get(at as usize).filter(|next| **next != at) {
            let further = self.0.get(next as usize).copied().unwrap_or(next);
            if let Some(entry) = self.0.get_mut(at as usize) {
                *entry = further;
            }
            at = next;
        }
        at
    }

    fn join(&mut self, one: Value, other: Value) {
        let (one, other) = (self.first(one), self.first(other));
        if let Some(entry) = self.0.get_mut(one.max(other) as usize) {
            *entry = one.min(other);
        }
    }

    /// A phi that is used may be any of what it stands for, which then is used as well.
    fn join_phis(&mut self, flow: &Flow, used: &mut [bool]) {
        let mut joined = vec![false; flow.phis.len()];
        let mut again = true;
        while again {
            again = false;
            for (number, (phi, joined)) in flow.phis.iter().zip(&mut joined).enumerate() {
                let value = flow.phi_value(number);
                if *joined || used.get(value as usize) != Some(&true) {
                    continue;
                }
                (*joined, again) = (true, true);
                for operand in &phi.operands {
                    mark(used, *operand, true);
                    self.join(value, *operand);
                }
            }
        }
    }

    /// Where one of a set leaves the function, all of it may.
    fn all_or_none(&mut self, kept: &mut [bool]) {
        for value in 0..kept.len() as Value {
            let first = self.first(value);
            if kept.get(value as usize) == Some(&false) {
                mark(kept, first, false);
            }
        }
        for value in 0..kept.len() as Value {
            let first = self.first(value);
            if kept.get(first as usize) == Some(&false) {
                mark(kept, value, false);
            }
        }
    }
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
