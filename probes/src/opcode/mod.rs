//! Which number is which instruction, per CPython version. What the instructions do is in `effect`.

mod name;
mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;
mod v3_8;
mod v3_9;

pub use name::Op;

/// The instruction set of one version.
#[derive(Debug)]
pub struct Table {
    by_number: [Option<(Op, u8)>; 256],
}

impl Table {
    /// The instruction with that number, and how many 16-bit units of inline cache follow it.
    #[must_use]
    pub fn get(&self, number: u8) -> Option<(Op, u8)> {
        self.by_number[usize::from(number)]
    }

    const fn new(rows: &[(u8, Op, u8)]) -> Self {
        let mut by_number = [None; 256];
        let mut row = 0;
        while row < rows.len() {
            by_number[rows[row].0 as usize] = Some((rows[row].1, rows[row].2));
            row += 1;
        }
        Table { by_number }
    }
}

static TABLES: [Table; 8] = [
    Table::new(v3_8::ROWS),
    Table::new(v3_9::ROWS),
    Table::new(v3_10::ROWS),
    Table::new(v3_11::ROWS),
    Table::new(v3_12::ROWS),
    Table::new(v3_13::ROWS),
    Table::new(v3_14::ROWS),
    Table::new(v3_15::ROWS),
];

/// The instruction set of CPython 3.`minor`.
#[must_use]
pub fn table(minor: u8) -> Option<&'static Table> {
    TABLES.get(usize::from(minor.checked_sub(8)?))
}
