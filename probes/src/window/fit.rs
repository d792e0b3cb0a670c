//! Which reads and writes of one subject belong together. How they depend on each other is not asked here.

use crate::access::{Access, Space, owner_bit};
use crate::ident::{Idents, NOTHING, Thing};
use crate::method::{Owner, Touch};
use crate::plan::Operation;

/// Can a write whose value depends on `read` lose what others wrote since?
pub(super) fn modify_fits(read: &Access, write: &Access) -> bool {
    if read.owners & write.owners == 0 {
        return false;
    }
    if read.instruction == write.instruction {
        return false;
    }
    if write.space == Space::Variable {
        return true;
    }
    if matches!(write.operation, Operation::InPlace { .. }) || write.touch == Touch::Remove {
        return false;
    }
    let is_call = matches!(write.operation, Operation::MethodCall { .. } | Operation::FunctionCall { .. });
    if is_call && read.touch == Touch::Remove {
        // What was taken out and is put back was nobody else's in between.
        return false;
    }
    match (read.key != NOTHING, write.key != NOTHING) {
        (true, true) => read.key == write.key,
        (true, false) => true,
        // An id made of the size.
        (false, true) => read.touch == Touch::Read && !matches!(read.operation, Operation::Truth { .. }),
        (false, false) => match read.operation {
            Operation::IterBegin { .. } => write.touch == Touch::Replace,
            Operation::Truth { .. } => false,
            _ => read.touch != Touch::View,
        },
    }
}

/// Does the outcome of `read` say something about what `write` changes?
pub(super) fn check_fits(read: &Access, write: &Access, idents: &Idents) -> bool {
    if read.owners & write.owners == 0 {
        return false;
    }
    if read.instruction == write.instruction {
        return false;
    }
    if write.space == Space::Variable {
        return true;
    }
    if read.key == NOTHING {
        return !matches!(read.touch, Touch::Remove | Touch::View);
    }
    // The first or last of a sequence decides whether one is taken out or put in.
    let end = matches!(read.operation, Operation::ItemRead { .. })
        && write.key == NOTHING
        && matches!(write.touch, Touch::Insert | Touch::Remove | Touch::Update)
        && write.owners & (owner_bit(Owner::List) | owner_bit(Owner::Deque)) != 0
        && (matches!(write.operation, Operation::FunctionCall { .. }) || write.owners & owner_bit(Owner::Dict) == 0)
        && matches!(idents.thing(read.key), Some(Thing::Small(_) | Thing::Const(_) | Thing::Common(_)));
    let searched = matches!(read.operation, Operation::Contains { .. } | Operation::MethodCall { .. });
    end || read.key == write.key
        || write.touch == Touch::Replace
        || (searched && read.touch == Touch::Read && write.key == NOTHING && write.touch == Touch::Insert)
        || (searched && matches!(write.operation, Operation::InPlace { .. } | Operation::MethodCall { method: "update", .. }))
}
