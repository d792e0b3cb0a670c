//! What the source calls a thing: `counter`, `self.items`, `cache[...]`. For people; nothing is decided by it.

use crate::code::Code;
use crate::flow::{Definition, Flow, Value};
use crate::ident::{Ident, Idents, Thing, name_text};

/// Longer chains are cut.
const MOST_PARTS: usize = 8;

pub struct Paths<'a> {
    pub code: &'a Code,
    pub flow: &'a Flow,
    pub idents: &'a Idents,
}

impl Paths<'_> {
    #[must_use]
    pub fn value(&self, value: Value) -> String {
        self.ident(self.idents.of(value))
    }

    #[must_use]
    pub fn ident(&self, ident: Ident) -> String {
        let mut parts: Vec<&str> = Vec::new();
        let mut ident = ident;
        let start = loop {
            if parts.len() >= 2 * MOST_PARTS {
                break "...";
            }
            let Some(thing) = self.idents.thing(ident) else { break "..." };
            match thing {
                Thing::Attribute(base, name) => {
                    parts.extend([name_text(self.code, name).unwrap_or("?"), "."]);
                    ident = base;
                }
                Thing::Named(base, _) => {
                    parts.push(".?");
                    ident = base;
                }
                Thing::Item(container, _) => {
                    parts.push("[...]");
                    ident = container;
                }
                Thing::Global(name) => break name_text(self.code, name).unwrap_or("?"),
                Thing::Cell(slot) => break self.slot(slot),
                Thing::Value(value) => break self.local(value).unwrap_or("..."),
                Thing::Called(callee, _) => {
                    if let Some(local) = self.idents.example(ident).and_then(|value| self.local(value)) {
                        break local;
                    }
                    parts.push("()");
                    ident = self.callee(callee);
                }
                _ => break self.idents.example(ident).and_then(|value| self.local(value)).unwrap_or("..."),
            }
        };
        let mut path = String::from(start);
        parts.iter().rev().for_each(|part| path.push_str(part));
        path
    }

    /// The local variable that holds the value.
    fn local(&self, value: Value) -> Option<&str> {
        let slot = match self.flow.definition(value) {
            Definition::Slot(slot) => slot,
            Definition::Phi(phi) => {
                self.flow.phis.get(phi as usize).map(|phi| phi.place).filter(|place| *place < self.flow.slots)?
            }
            _ => self.flow.stored(value)?,
        };
        self.code.locals.get(slot as usize).map(String::as_str)
    }

    fn slot(&self, slot: u32) -> &str {
        self.code.locals.get(slot as usize).map_or("?", String::as_str)
    }

    /// The callee, without the arguments that it was applied to.
    fn callee(&self, applied: Ident) -> Ident {
        let mut ident = applied;
        for _ in 0..MOST_PARTS {
            match self.idents.thing(ident) {
                Some(Thing::Operation(_, callee, _)) => ident = callee,
                _ => break,
            }
        }
        ident
    }
}
