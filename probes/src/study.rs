//! Names for what lies in a frame at one instruction: for reports about a call, an await, a `with` block. It reads no
//! frame and finds no windows.

use crate::access::called_name;
use crate::call::{Call, calls};
use crate::code::Code;
use crate::flow::{Definition, Flow, UNREACHED, Value};
use crate::ident::Idents;
use crate::opcode::Op;
use crate::path::Paths;
use crate::plan::{PlanError, Window};
use crate::region::Regions;
use crate::version::Version;

/// A code object whose values have names.
pub struct Study<'a> {
    code: &'a Code,
    flow: Flow,
    idents: Idents,
}

/// One entry of the value stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the source calls it; `...` if nothing.
    pub path: String,
    /// It is the `__exit__` of a `with` block: what the source calls the context manager.
    pub exit_of: Option<String>,
}

impl<'a> Study<'a> {
    /// # Errors
    /// Code that has no plan has no names either.
    pub fn new(code: &'a Code, version: Version) -> Result<Study<'a>, PlanError> {
        let flow = Flow::new(code, version)?;
        let idents = Idents::new(code, &flow);
        Ok(Study { code, flow, idents })
    }

    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Depth of the value stack before the instruction.
    #[must_use]
    pub fn depth_at(&self, offset: u32) -> Option<u32> {
        let at = self.flow.instructions.at(offset)?;
        self.flow.depth.get(at).copied().filter(|depth| *depth != UNREACHED)
    }

    #[must_use]
    pub fn path(&self, value: Value) -> String {
        Paths { code: self.code, flow: &self.flow, idents: &self.idents }.value(value)
    }

    /// The value stack before the instruction, lowest first.
    #[must_use]
    pub fn stack_before(&self, offset: u32) -> Vec<Entry> {
        let state = self.flow.instructions.at(offset).and_then(|at| self.flow.before(at));
        self.entries(state.map(|state| state.values))
    }

    /// The value stack after the instruction, if it neither jumps nor raises.
    #[must_use]
    pub fn stack_after(&self, offset: u32) -> Vec<Entry> {
        let state = self.flow.instructions.at(offset).and_then(|at| self.flow.after(at));
        self.entries(state.map(|state| state.values))
    }

    /// What is called at the instruction: `self.lock.acquire`, `work`; for the calls of a `with` block its manager.
    #[must_use]
    pub fn callee(&self, offset: u32) -> Option<String> {
        let at = self.flow.instructions.at(offset)?;
        let instruction = self.flow.list().get(at)?;
        match instruction.op {
            Op::BeforeWith | Op::BeforeAsyncWith | Op::SetupWith | Op::LoadSpecial => Some(self.path(self.flow.operand(at, 1))),
            // 3.11 makes calls in two steps.
            Op::Precall => self.callee(instruction.end),
            op if calls(op) => {
                let Some(call) = Call::at(&self.flow, self.code, at) else {
                    return self
                        .flow
                        .uses(at)
                        .iter()
                        .find(|value| crate::ident::is_known(**value))
                        .map(|value| self.path(*value));
                };
                self.managed(call.callee).or_else(|| Some(self.path(call.callee)))
            }
            _ => None,
        }
    }

    /// The bare name of the function or method that is called.
    #[must_use]
    pub fn callee_name(&self, offset: u32) -> Option<&str> {
        let at = self.flow.instructions.at(offset)?;
        called_name(self.code, &self.idents, &Call::at(&self.flow, self.code, at)?)
    }

    /// What is awaited at the instruction (a SEND, YIELD_VALUE or YIELD_FROM of an await): `self.price()`.
    #[must_use]
    pub fn awaited(&self, offset: u32) -> Option<String> {
        let at = self.flow.instructions.at(offset)?;
        let list = self.flow.list();
        let sends = |at: &usize| list.get(*at).is_some_and(|found| matches!(found.op, Op::Send | Op::YieldFrom));
        let send = (at.saturating_sub(3)..=at).rev().find(sends)?;
        let mut value = *self.flow.uses(send).first()?;
        for _ in 0..3 {
            match self.flow.maker(value) {
                Some((maker, found)) if matches!(found.op, Op::GetAwaitable | Op::GetAiter | Op::GetAnext) => {
                    value = self.flow.operand(maker, 1);
                }
                Some((maker, found)) if matches!(found.op, Op::BeforeAsyncWith) => {
                    return Some(self.path(self.flow.operand(maker, 1)));
                }
                _ => break,
            }
        }
        let entering = self.flow.maker(value).and_then(|(maker, _)| Call::at(&self.flow, self.code, maker));
        entering.and_then(|call| self.managed(call.callee)).or_else(|| Some(self.path(value)))
    }

    /// Is the instruction strictly inside the window?
    #[must_use]
    pub fn is_inside(&self, window: &Window, offset: u32) -> bool {
        let at = |offset: u32| self.flow.instructions.at(offset).map(|at| at as u32);
        let reads: Vec<u32> = window.reads.iter().filter_map(|read| at(*read)).collect();
        let (Some(write), Some(here)) = (at(window.write), at(offset)) else { return false };
        let region = Regions::new(&self.flow).between(&reads, &[], write);
        region.is_some_and(|region| region.inside.binary_search(&here).is_ok())
    }

    fn entries(&self, values: Option<Vec<Value>>) -> Vec<Entry> {
        let stack = values.into_iter().flatten().skip(self.flow.slots as usize);
        stack.map(|value| Entry { path: self.path(value), exit_of: self.exit_of(value) }).collect()
    }

    fn exit_of(&self, value: Value) -> Option<String> {
        let Definition::Output { instruction, index: 0 } = self.flow.definition(value) else { return None };
        let maker = self.flow.list().get(instruction as usize)?;
        let enters = match maker.op {
            Op::BeforeWith | Op::BeforeAsyncWith | Op::SetupWith => true,
            Op::LoadSpecial => matches!(maker.arg, 1 | 3),
            _ => false,
        };
        enters.then(|| self.path(self.flow.operand(instruction as usize, 1)))
    }

    /// The context manager whose `__enter__` or `__exit__` a value is.
    fn managed(&self, callee: Value) -> Option<String> {
        let (at, maker) = self.flow.maker(callee)?;
        let managed = matches!(maker.op, Op::LoadSpecial | Op::BeforeWith | Op::BeforeAsyncWith | Op::SetupWith);
        managed.then(|| self.path(self.flow.operand(at, 1)))
    }
}
