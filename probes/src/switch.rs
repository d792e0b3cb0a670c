//! Where the interpreter may hand over to another strand, by version. Builds without a GIL, and CPython before 3.10, may
//! switch anywhere; this says what else speaks for a switch there.

use crate::access::{called_name, is_number};
use crate::call::{Call, calls};
use crate::code::Code;
use crate::effect::is_arithmetic;
use crate::flow::Flow;
use crate::ident::Idents;
use crate::opcode::Op;
use crate::plan::{Switch, SwitchWhy};
use crate::region::Region;
use crate::version::Version;

pub struct Switches<'a> {
    pub code: &'a Code,
    pub flow: &'a Flow,
    pub idents: &'a Idents,
    pub version: Version,
}

impl Switches<'_> {
    /// The first switch point inside, suspensions before other strong ones before weak ones, and whether a suspension is
    /// inside.
    #[must_use]
    pub fn inside(&self, region: &Region, write: u32) -> (Option<Switch>, bool) {
        let (mut suspension, mut strong, mut weak) = (None, None, None);
        // The interpreter checks after a call, so a read that is one has its switch point inside.
        let reads = region.reads.iter().filter(|read| self.is_call(**read));
        let mut all: Vec<u32> = reads.chain(&region.inside).copied().collect();
        all.sort_unstable();
        for index in all {
            let jumps = |target: u32| target == write || region.inside.binary_search(&target).is_ok();
            let Some(why) = self.why(index as usize, jumps) else { continue };
            let offset = self.flow.list().get(index as usize).map_or(0, |instruction| instruction.offset);
            let first = match why {
                SwitchWhy::Suspension => &mut suspension,
                SwitchWhy::Operator => &mut weak,
                _ => &mut strong,
            };
            first.get_or_insert(Switch { offset, why });
        }
        if strong.is_none() && (self.version.free_threaded || self.version.minor <= 9) {
            let at = region.inside.first().copied().unwrap_or(write);
            let offset = self.flow.list().get(at as usize).map_or(0, |instruction| instruction.offset);
            strong = Some(Switch { offset, why: SwitchWhy::Anywhere });
        }
        let suspends = suspension.is_some();
        (suspension.or(strong).or(weak), suspends)
    }

    fn is_call(&self, index: u32) -> bool {
        self.flow.list().get(index as usize).is_some_and(|instruction| calls(instruction.op))
    }

    /// Why the interpreter may switch at an instruction; `inside` tells whether a jump's target is in the window.
    fn why(&self, index: usize, inside: impl Fn(u32) -> bool) -> Option<SwitchWhy> {
        let instruction = self.flow.list().get(index)?;
        match instruction.op {
            Op::YieldValue | Op::YieldFrom => Some(SwitchWhy::Suspension),
            op if calls(op) => self.checks(index).then_some(SwitchWhy::Call),
            // Enter and exit context managers, import, run a class body.
            Op::BeforeWith | Op::SetupWith | Op::WithExceptStart | Op::WithCleanupStart | Op::ImportName => Some(SwitchWhy::Call),
            Op::JumpBackward | Op::JumpAbsolute => Some(SwitchWhy::BackwardJump),
            Op::PopJumpBackwardIfFalse | Op::PopJumpBackwardIfTrue | Op::PopJumpBackwardIfNone | Op::PopJumpBackwardIfNotNone => {
                inside(instruction.target).then_some(SwitchWhy::BackwardJump)
            }
            Op::PopJumpIfFalse | Op::PopJumpIfTrue if self.version.minor == 10 && inside(instruction.target) => {
                let backward = (instruction.target as usize) <= index;
                Some(if backward { SwitchWhy::BackwardJump } else { SwitchWhy::ForwardJump })
            }
            op if may_run_code(op, instruction.arg) => self.operator(index),
            _ => None,
        }
    }

    /// Does the interpreter look for a switch after this call? From 3.11 on not after the few that it runs itself.
    fn checks(&self, index: usize) -> bool {
        if self.version.minor <= 10 {
            return true;
        }
        let Some(call) = Call::at(self.flow, self.code, index) else { return true };
        let quiet = match (called_name(self.code, self.idents, &call), call.receiver) {
            (Some("len"), None) | (Some("type"), None) => call.arguments == 1,
            (Some("isinstance"), None) => call.arguments == 2,
            (Some("append"), Some(_)) => call.arguments == 1,
            _ => false,
        };
        !quiet
    }

    /// An operator runs Python code only on operands of Python classes: with a number or a text among them it is not
    /// likely, without one it cannot be excluded.
    fn operator(&self, index: usize) -> Option<SwitchWhy> {
        let plain = self.flow.uses(index).iter().any(|value| is_number(self.code, self.idents, *value));
        (!plain).then_some(SwitchWhy::Operator)
    }
}

fn may_run_code(op: Op, arg: u32) -> bool {
    match op {
        Op::BinaryOp => arg != crate::ident::SUBSCRIPT,
        // Comparisons by identity and membership have instructions of their own (3.8: are arguments above 5).
        Op::CompareOp => true,
        _ => is_arithmetic(op),
    }
}
