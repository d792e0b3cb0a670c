//! Where the values that are read go: into branches, return values, arguments. Only values as such count, not what they
//! are attributes or items of.

use crate::call::{Call, calls};
use crate::code::Code;
use crate::effect::branches;
use crate::flow::{Definition, Flow, Value};
use crate::opcode::Op;
use crate::plan::Flows;

const BRANCH: u8 = 1;
const RETURN: u8 = 2;
const ARGUMENT: u8 = 4;

/// By value: where it goes.
pub struct Destinations(Vec<u8>);

impl Destinations {
    #[must_use]
    pub fn new(code: &Code, flow: &Flow) -> Destinations {
        let mut work: Vec<(Value, u8)> = Vec::new();
        for (index, instruction) in flow.list().iter().enumerate() {
            match instruction.op {
                op if branches(op) && op != Op::JumpIfNotExcMatch => work.push((flow.operand(index, 1), BRANCH)),
                Op::ReturnValue | Op::YieldValue | Op::YieldFrom => work.push((flow.operand(index, 1), RETURN)),
                op if calls(op) => match Call::at(flow, code, index) {
                    Some(call) => {
                        work.extend((0..call.arguments).filter_map(|at| call.argument(flow, at)).map(|value| (value, ARGUMENT)));
                    }
                    None => work.extend(flow.uses(index).iter().skip(1).map(|value| (*value, ARGUMENT))),
                },
                _ => {}
            }
        }
        let mut marks = vec![0_u8; flow.values()];
        while let Some((value, mark)) = work.pop() {
            let Some(marked) = marks.get_mut(value as usize).filter(|marked| **marked & mark != mark) else { continue };
            *marked |= mark;
            match flow.definition(value) {
                Definition::Output { instruction, .. } => {
                    let index = instruction as usize;
                    parts(code, flow, index, |part| work.push((part, mark)));
                }
                Definition::Phi(phi) => {
                    let operands = flow.phis.get(phi as usize).map_or(&[][..], |phi| phi.operands.as_slice());
                    work.extend(operands.iter().map(|operand| (*operand, mark)));
                }
                _ => {}
            }
        }
        Destinations(marks)
    }

    #[must_use]
    pub fn of(&self, value: Value) -> Flows {
        let marks = self.0.get(value as usize).copied().unwrap_or(0);
        Flows { into_branch: marks & BRANCH != 0, into_return: marks & RETURN != 0, into_argument: marks & ARGUMENT != 0 }
    }
}

/// The values that make up an instruction's result.
fn parts(code: &Code, flow: &Flow, index: usize, mut part: impl FnMut(Value)) {
    let Some(instruction) = flow.list().get(index) else { return };
    match instruction.op {
        // The result is another thing than the operand.
        Op::LoadAttr | Op::LoadMethod | Op::LoadSpecial | Op::BeforeWith | Op::BeforeAsyncWith | Op::SetupWith => {}
        Op::BinarySubscr | Op::BinarySlice | Op::CheckExcMatch | Op::CheckEgMatch => {}
        Op::BinaryOp if instruction.arg == crate::ident::SUBSCRIPT => {}
        // The needle, not the haystack.
        Op::ContainsOp => part(flow.operand(index, 2)),
        op if calls(op) => {
            if let Some(call) = Call::at(flow, code, index) {
                (0..call.arguments).filter_map(|at| call.argument(flow, at)).for_each(part);
            }
        }
        _ => flow.uses(index).iter().for_each(|value| part(*value)),
    }
}
