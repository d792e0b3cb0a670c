//! Locals and value stack as an instruction changes them. It never reaches below the stack's bottom.

use super::Value;

/// The state while an instruction works on it.
pub(super) struct Stack<'a> {
    pub slots: usize,
    pub values: &'a mut Vec<Value>,
}

impl Stack<'_> {
    pub fn depth(&self) -> usize {
        self.values.len() - self.slots
    }

    pub fn push(&mut self, value: Value) {
        self.values.push(value);
    }

    pub fn pop(&mut self, count: u32) -> Result<(), ()> {
        let left = self.depth().checked_sub(count as usize).ok_or(())?;
        self.values.truncate(self.slots + left);
        Ok(())
    }

    /// The value that lies `from_top` deep: 1 is the top.
    pub fn peek(&mut self, from_top: u32) -> Result<&mut Value, ()> {
        let at = self.depth().checked_sub(from_top as usize).filter(|_| from_top > 0).ok_or(())?;
        self.values.get_mut(self.slots + at).ok_or(())
    }

    pub fn local(&mut self, slot: u32) -> Result<&mut Value, ()> {
        self.values.get_mut(..self.slots).and_then(|locals| locals.get_mut(slot as usize)).ok_or(())
    }

    pub fn load(&mut self, slot: u32) -> Result<(), ()> {
        let value = *self.local(slot)?;
        self.push(value);
        Ok(())
    }

    pub fn store(&mut self, slot: u32) -> Result<(), ()> {
        let value = *self.peek(1)?;
        self.pop(1)?;
        *self.local(slot)? = value;
        Ok(())
    }

    pub fn copy(&mut self, from_top: u32) -> Result<(), ()> {
        let value = *self.peek(from_top)?;
        self.push(value);
        Ok(())
    }

    pub fn swap(&mut self, from_top: u32) -> Result<(), ()> {
        let deep = *self.peek(from_top)?;
        let top = std::mem::replace(self.peek(1)?, deep);
        *self.peek(from_top)? = top;
        Ok(())
    }

    /// Moves the top value down to be the `places`-th from the top.
    pub fn sink(&mut self, places: u32) -> Result<(), ()> {
        let at = self.depth().checked_sub(places as usize).filter(|_| places > 0).ok_or(())?;
        self.values.get_mut(self.slots + at..).ok_or(())?.rotate_right(1);
        Ok(())
    }
}
