//! Which branches of nested OP_IFs are taken.

use crate::{ScriptError, ScriptError::UnbalancedConditional};

/// How deep the nesting is, and the outermost branch that is not taken: nothing else can be seen, and thousands of
/// nested OP_IFs cost no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    depth: usize,
    first_false: Option<usize>,
}

impl Conditions {
    /// Whether no OP_IF is open.
    pub fn is_empty(self) -> bool {
        self.depth == 0
    }

    /// How many OP_IFs are open.
    pub fn depth(self) -> usize {
        self.depth
    }

    /// Whether all open branches are taken.
    pub fn all_true(self) -> bool {
        self.first_false.is_none()
    }

    /// OP_IF.
    pub fn open(&mut self, taken: bool) {
        if !taken {
            self.first_false.get_or_insert(self.depth);
        }
        self.depth += 1;
    }

    /// OP_ELSE.
    pub fn toggle(&mut self) -> Result<(), ScriptError> {
        let top = self.top()?;
        match self.first_false {
            None => self.first_false = Some(top),
            Some(first) if first == top => self.first_false = None,
            Some(_) => {} // an outer branch is not taken: nobody sees this one
        }
        Ok(())
    }

    /// OP_ENDIF.
    pub fn close(&mut self) -> Result<(), ScriptError> {
        self.depth = self.top()?;
        self.first_false = self.first_false.filter(|first| *first < self.depth);
        Ok(())
    }

    fn top(self) -> Result<usize, ScriptError> {
        self.depth.checked_sub(1).ok_or(UnbalancedConditional)
    }
}
