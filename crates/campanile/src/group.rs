//! The groups that read the log: created with the log, and never guessed.
//!
//! A group that is missing on a log with records could begin with the first record, and ring for
//! everything again, or with the next one, and lose what waits. Only the operator knows.

use std::collections::BTreeSet;

use campanile_core::port::{LogAdmin, ReadError, StartAt};

use crate::compose::Parts;
use crate::exit::{Failure, Kind};
use crate::role::{Group, Role};

/// Creates every group on a log that was never used; on another, sees that the groups of `roles`
/// are there.
///
/// # Errors
/// [`Failure`] that tells the command to run.
pub(crate) async fn prepare(parts: &Parts, roles: &BTreeSet<Role>) -> Result<(), Failure> {
    let is_unused = parts.is_unused().await?;
    for group in Group::ALL {
        if is_unused {
            create(parts, group, StartAt::Beginning).await?;
        } else if roles.iter().any(|role| role.groups().contains(&group)) {
            look(parts, group).await?;
        }
    }
    Ok(())
}

/// Creates a group.
///
/// # Errors
/// [`Failure`] if it cannot be stored.
pub(crate) async fn create(parts: &Parts, group: Group, start: StartAt) -> Result<(), Failure> {
    let created = parts.log(group.stream).create_group(&group.group_name(), start).await;
    created.map_err(|error| Failure::new(Kind::Unavailable, error))
}

async fn look(parts: &Parts, group: Group) -> Result<(), Failure> {
    match parts.log(group.stream).progress(&group.group_name()).await {
        Ok(_) => Ok(()),
        Err(ReadError::NoGroup(name)) => {
            let message = format_args!(
                "the log has records and no group {name}; say where it begins: \
                 campanile group create {name} --start beginning|end"
            );
            Err(Failure::new(Kind::Config, message))
        }
        Err(error) => Err(Failure::new(Kind::Unavailable, error)),
    }
}
