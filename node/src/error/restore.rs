//! Why a home cannot be made again from its words and a backup.

use keyway_chain::Height;
use keyway_protocol::card::Name;
use keyway_protocol::identity::PartyKey;
use thiserror::Error;

use super::Kind;
use crate::backup::BackupError;

/// The words or the backup are not what they should be, or the home has not found all of what it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The words are no mnemonic.
    #[error(
        "these words are no mnemonic\n{0}\ngive the 12 or 24 English words, in their order, with spaces between"
    )]
    Mnemonic(#[from] bip39::Error),
    /// The file is no backup.
    #[error("the backup cannot be used\n{0}\n{advice}", advice = backup_advice(.0))]
    Backup(#[from] BackupError),
    /// The words give another identity than the backup's.
    #[error(
        "the backup is not of these words\nit is of {name}, whose key is {backup}; the words' key on this chain is {words}\ngive the words of that party, or its own backup"
    )]
    OfAnother {
        /// The party's name.
        name: Name,
        /// Its key.
        backup: Box<PartyKey>,
        /// The words' key.
        words: Box<PartyKey>,
    },
    /// The name that was given is not the backup's.
    #[error(
        "the party of this backup is called {0}\nthe name is part of its identity, and cannot be another\nleave out --name: the backup has it"
    )]
    OfAnotherName(Name),
    /// The home has not found all of what it was.
    #[error(
        "not yet: this home is being restored, and has followed the chain to block {0}\nuntil it has reached the end it does not know which of its secrets and coins were used\nrun `keyway sync`, which goes on there"
    )]
    Unfinished(Height),
}

impl RestoreError {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Unfinished(_) => Kind::NotYet,
            Self::OfAnother { .. } | Self::OfAnotherName(_) | Self::Backup(BackupError::Signature) => {
                Kind::Refused
            }
            Self::Mnemonic(_) | Self::Backup(_) => Kind::Failed,
        }
    }
}

fn backup_advice(error: &BackupError) -> &'static str {
    match error {
        BackupError::Head => "give the file that `keyway backup` wrote",
        BackupError::Signature => {
            "take an older one that nobody could change; the words and the cards suffice, too"
        }
        _ => "take another copy, or an older one; the words and the cards suffice, too",
    }
}
