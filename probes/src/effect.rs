//! What each instruction takes from the value stack and puts there, by its name; where versions differ, by version.
//! Instructions that only move values about (`COPY`, `LOAD_FAST` …) are not here but in `flow`.

use crate::opcode::Op;

/// `uses` entries from the top are looked at, `pops` of them removed, then `pushes` new ones put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    pub uses: u32,
    pub pops: u32,
    pub pushes: u32,
}

/// What `op` does when it does not jump; the jump's stack is in `flow`.
#[must_use]
pub fn effect(op: Op, arg: u32, minor: u8) -> Effect {
    let (pops, pushes) = in_and_out(op, arg, minor);
    let looked_at = match op {
        Op::ForIter | Op::GetAnext | Op::ImportFrom | Op::GetLen | Op::MatchMapping | Op::MatchSequence => 1,
        Op::CheckExcMatch | Op::MatchKeys | Op::CopyDictWithoutKeys | Op::Send => 2,
        _ => 0,
    };
    // From 3.15 on an iterator lies on the stack with an index or NULL above it.
    let hidden = u32::from(minor >= 15 && matches!(op, Op::ForIter | Op::Send));
    Effect { uses: pops.max(looked_at + hidden), pops, pushes }
}

fn in_and_out(op: Op, arg: u32, minor: u8) -> (u32, u32) {
    match op {
        // Values from nowhere.
        Op::LoadConst
        | Op::LoadSmallInt
        | Op::LoadCommonConstant
        | Op::LoadBuildClass
        | Op::LoadAssertionError
        | Op::LoadLocals
        | Op::LoadName
        | Op::LoadDeref
        | Op::LoadClassderef
        | Op::LoadClosure
        | Op::ReturnGenerator
        | Op::WithExceptStart
        | Op::GetAnext
        | Op::ImportFrom
        | Op::GetLen
        | Op::MatchMapping
        | Op::MatchSequence
        | Op::ForIter => (0, 1),
        Op::LoadGlobal => (0, if minor >= 11 { 1 + (arg & 1) } else { 1 }),
        Op::MatchKeys => (0, if minor == 10 { 2 } else { 1 }),

        // One for one.
        Op::UnaryInvert
        | Op::UnaryNegative
        | Op::UnaryNot
        | Op::UnaryPositive
        | Op::ToBool
        | Op::ConvertValue
        | Op::FormatSimple
        | Op::GetYieldFromIter
        | Op::GetAiter
        | Op::GetAwaitable
        | Op::YieldValue
        | Op::AsyncGenWrap
        | Op::ListToTuple
        | Op::CallIntrinsic1
        | Op::LoadFromDictOrDeref
        | Op::LoadFromDictOrGlobals
        | Op::CheckExcMatch
        | Op::CopyDictWithoutKeys => (1, 1),
        Op::GetIter => (1, if minor >= 15 { 2 } else { 1 }),
        Op::LoadAttr => (1, if minor >= 12 { 1 + (arg & 1) } else { 1 }),
        Op::LoadMethod | Op::LoadSpecial | Op::BeforeWith | Op::BeforeAsyncWith | Op::PushExcInfo | Op::SetupWith => (1, 2),
        Op::LoadSuperAttr => (3, 1 + (arg & 1)),

        // Two for one.
        Op::BinaryOp
        | Op::BinarySubscr
        | Op::CompareOp
        | Op::ContainsOp
        | Op::IsOp
        | Op::ImportName
        | Op::FormatWithSpec
        | Op::CallIntrinsic2
        | Op::SetFunctionAttribute
        | Op::PrepReraiseStar
        | Op::EndSend
        | Op::BuildTemplate
        | Op::YieldFrom => (if minor >= 15 && matches!(op, Op::EndSend) { 3 } else { 2 }, 1),
        Op::Send => (1, 1),
        Op::CheckEgMatch => (2, 2),
        Op::CleanupThrow => (3, 2),
        Op::BinarySlice => (3, 1),
        Op::MatchClass => (3, if minor == 10 { 2 } else { 1 }),
        Op::BuildInterpolation => (2 + (arg & 1), 1),

        // Stores and deletions.
        Op::StoreGlobal | Op::StoreName | Op::StoreDeref | Op::DeleteAttr | Op::ImportStar | Op::PrintExpr => (1, 0),
        Op::StoreAttr | Op::DeleteSubscr => (2, 0),
        Op::StoreSubscr => (3, 0),
        Op::StoreSlice => (4, 0),

        // Containers built on the stack: the grown container counts as a new value.
        Op::ListAppend | Op::SetAdd | Op::ListExtend | Op::SetUpdate | Op::DictUpdate | Op::DictMerge => (1, 0),
        Op::MapAdd => (2, 0),

        // As many as the argument says.
        Op::BuildTuple | Op::BuildList | Op::BuildSet | Op::BuildString => (arg, 1),
        Op::BuildSlice => (if arg == 3 { 3 } else { 2 }, 1),
        Op::BuildTupleUnpack
        | Op::BuildListUnpack
        | Op::BuildSetUnpack
        | Op::BuildMapUnpack
        | Op::BuildTupleUnpackWithCall
        | Op::BuildMapUnpackWithCall => (arg, 1),
        Op::BuildMap => (arg.saturating_mul(2), 1),
        Op::BuildConstKeyMap => (arg.saturating_add(1), 1),
        Op::FormatValue => (1 + u32::from(arg & 4 == 4), 1),
        Op::UnpackSequence => (1, arg),
        Op::UnpackEx => (1, (arg & 0xFF) + 1 + (arg >> 8)),
        Op::MakeFunction => (made_of(arg, minor), 1),
        Op::RaiseVarargs => (arg, 0),

        // Calls.
        Op::Call => (arg.saturating_add(2), 1),
        Op::CallKw => (arg.saturating_add(3), 1),
        Op::CallFunction => (arg.saturating_add(1), 1),
        Op::CallMethod | Op::CallFunctionKw => (arg.saturating_add(2), 1),
        Op::CallFunctionEx => (
            match minor {
                14.. => 4,
                11..=13 => 3 + (arg & 1),
                _ => 2 + (arg & 1),
            },
            1,
        ),

        // Control.
        Op::PopTop | Op::PopIter | Op::EndFor | Op::EndAsyncFor | Op::PopExcept => (popped(op, minor), 0),
        Op::PopJumpIfFalse
        | Op::PopJumpIfTrue
        | Op::PopJumpIfNone
        | Op::PopJumpIfNotNone
        | Op::PopJumpForwardIfFalse
        | Op::PopJumpForwardIfTrue
        | Op::PopJumpForwardIfNone
        | Op::PopJumpForwardIfNotNone
        | Op::PopJumpBackwardIfFalse
        | Op::PopJumpBackwardIfTrue
        | Op::PopJumpBackwardIfNone
        | Op::PopJumpBackwardIfNotNone
        | Op::JumpIfFalseOrPop
        | Op::JumpIfTrueOrPop
        | Op::ReturnValue
        | Op::InterpreterExit
        | Op::GenStart => (1, 0),
        Op::JumpIfNotExcMatch => (2, 0),
        Op::Reraise => (if minor >= 11 { 1 } else { 3 }, 0),

        // 3.8: finally blocks, entered normally, have one token on the stack.
        Op::BeginFinally => (0, 1),
        Op::EndFinally => (1, 0),
        Op::PopFinally => (1 + arg.min(1), arg.min(1)),
        Op::WithCleanupStart => (2, 3),
        Op::WithCleanupFinish => (2, 0),

        op if is_arithmetic(op) => (2, 1),

        _ => (0, 0),
    }
}

/// An operator's own instruction, as they were before 3.11.
pub fn is_arithmetic(op: Op) -> bool {
    matches!(
        op,
        Op::BinaryAdd
            | Op::BinaryAnd
            | Op::BinaryFloorDivide
            | Op::BinaryLshift
            | Op::BinaryMatrixMultiply
            | Op::BinaryModulo
            | Op::BinaryMultiply
            | Op::BinaryOr
            | Op::BinaryPower
            | Op::BinaryRshift
            | Op::BinarySubtract
            | Op::BinaryTrueDivide
            | Op::BinaryXor
            | Op::InplaceAdd
            | Op::InplaceAnd
            | Op::InplaceFloorDivide
            | Op::InplaceLshift
            | Op::InplaceMatrixMultiply
            | Op::InplaceModulo
            | Op::InplaceMultiply
            | Op::InplaceOr
            | Op::InplacePower
            | Op::InplaceRshift
            | Op::InplaceSubtract
            | Op::InplaceTrueDivide
            | Op::InplaceXor
    )
}

fn popped(op: Op, minor: u8) -> u32 {
    match op {
        Op::PopIter => 1 + u32::from(minor >= 15),
        Op::EndFor => 1 + u32::from(minor == 12),
        Op::EndAsyncFor => {
            if minor >= 11 {
                2
            } else {
                7
            }
        }
        Op::PopExcept => {
            if minor >= 11 {
                1
            } else {
                3
            }
        }
        _ => 1,
    }
}

fn made_of(arg: u32, minor: u8) -> u32 {
    match minor {
        13.. => 1,
        11 | 12 => 1 + (arg & 15).count_ones(),
        _ => 2 + (arg & 15).count_ones(),
    }
}

/// Can the instruction raise an exception (so that control may pass to a handler)?
#[must_use]
pub fn raises(op: Op) -> bool {
    !matches!(
        op,
        Op::LoadConst
            | Op::LoadSmallInt
            | Op::LoadCommonConstant
            | Op::LoadFast
            | Op::LoadFastBorrow
            | Op::LoadFastLoadFast
            | Op::LoadFastBorrowLoadFastBorrow
            | Op::LoadFastAndClear
            | Op::LoadGlobal
            | Op::LoadClosure
            | Op::LoadDeref
            | Op::StoreFast
            | Op::StoreFastLoadFast
            | Op::StoreFastStoreFast
            | Op::StoreGlobal
            | Op::StoreDeref
            | Op::PopTop
            | Op::PopIter
            | Op::EndFor
            | Op::EndSend
            | Op::PushNull
            | Op::PushExcInfo
            | Op::PopExcept
            | Op::PopBlock
            | Op::Copy
            | Op::Swap
            | Op::DupTop
            | Op::DupTopTwo
            | Op::RotTwo
            | Op::RotThree
            | Op::RotFour
            | Op::RotN
            | Op::Nop
            | Op::NotTaken
            | Op::Resume
            | Op::Cache
            | Op::Precall
            | Op::KwNames
            | Op::MakeCell
            | Op::CopyFreeVars
            | Op::JumpForward
            | Op::JumpBackward
            | Op::JumpBackwardNoInterrupt
            | Op::JumpAbsolute
            | Op::PopJumpIfNone
            | Op::PopJumpIfNotNone
            | Op::PopJumpForwardIfNone
            | Op::PopJumpForwardIfNotNone
            | Op::PopJumpBackwardIfNone
            | Op::PopJumpBackwardIfNotNone
            | Op::PopJumpIfFalse
            | Op::PopJumpIfTrue
            | Op::PopJumpForwardIfFalse
            | Op::PopJumpForwardIfTrue
            | Op::PopJumpBackwardIfFalse
            | Op::PopJumpBackwardIfTrue
            | Op::IsOp
            | Op::BuildTuple
            | Op::MakeFunction
            | Op::SetFunctionAttribute
            | Op::ReturnValue
            | Op::ReturnConst
            | Op::ReturnGenerator
            | Op::SetupFinally
            | Op::BeginFinally
            | Op::CallFinally
    )
}

/// Does control never go on to the next instruction?
#[must_use]
pub fn ends(op: Op) -> bool {
    matches!(
        op,
        Op::ReturnValue
            | Op::ReturnConst
            | Op::RaiseVarargs
            | Op::Reraise
            | Op::InterpreterExit
            | Op::JumpForward
            | Op::JumpBackward
            | Op::JumpBackwardNoInterrupt
            | Op::JumpAbsolute
    )
}

/// Is this a jump on a condition taken from the stack?
#[must_use]
pub fn branches(op: Op) -> bool {
    matches!(
        op,
        Op::PopJumpIfFalse
            | Op::PopJumpIfTrue
            | Op::PopJumpIfNone
            | Op::PopJumpIfNotNone
            | Op::PopJumpForwardIfFalse
            | Op::PopJumpForwardIfTrue
            | Op::PopJumpForwardIfNone
            | Op::PopJumpForwardIfNotNone
            | Op::PopJumpBackwardIfFalse
            | Op::PopJumpBackwardIfTrue
            | Op::PopJumpBackwardIfNone
            | Op::PopJumpBackwardIfNotNone
            | Op::JumpIfFalseOrPop
            | Op::JumpIfTrueOrPop
            | Op::JumpIfNotExcMatch
    )
}
