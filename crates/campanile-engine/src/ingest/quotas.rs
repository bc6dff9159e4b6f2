//! What each app and each user may still get.
//!
//! Every process counts for itself: with several of them for ingest a tenant may have as many times
//! its quota.

use std::collections::BTreeMap;

use campanile_core::{AppId, Quota, Tick, Used, UserRef};

use crate::Error;
use crate::pieces::Map;

/// Users who are counted at the same time. Once there are more who use their quota, the rest is
/// let in uncounted; the app's quota still holds.
const MOST_USERS: usize = 262_144;

/// The limits on publishing. Without one, anything goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotas {
    /// For each app.
    pub app: Option<Quota>,
    /// For each user.
    pub user: Option<Quota>,
}

impl Quotas {
    /// Whether anything goes.
    pub(crate) const fn is_unlimited(self) -> bool {
        self.app.is_none() && self.user.is_none()
    }
}

/// What is used of the quotas.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    apps: BTreeMap<AppId, Used>,
    users: Map<UserRef, Used>,
}

impl Counted {
    /// Lets one more notification of `app` to `user` in.
    ///
    /// # Errors
    /// [`Error::Exhausted`] with the time to wait. Of what was refused nothing is counted.
    pub(crate) fn admit(
        &mut self,
        quotas: Quotas,
        app: &AppId,
        user: UserRef,
        now: Tick,
    ) -> Result<(), Error> {
        let exhausted = |whose: &str, wait| {
            let reason = format!("the quota of the {whose} is used up");
            Error::Exhausted { reason, retry_after: Some(wait) }
        };
        let mut of_user = self.users.get(&user).copied().unwrap_or_default();
        if let Some(quota) = quotas.user {
            quota.admit(&mut of_user, now).map_err(|wait| exhausted("user", wait))?;
        }
        if let Some(quota) = quotas.app {
            let mut of_app = self.apps.get(app).copied().unwrap_or_default();
            quota.admit(&mut of_app, now).map_err(|wait| exhausted("app", wait))?;
            self.apps.insert(app.clone(), of_app);
        }
        if quotas.user.is_some() && self.has_room(user, now) {
            self.users.insert(user, of_user);
        }
        Ok(())
    }

    fn has_room(&mut self, user: UserRef, now: Tick) -> bool {
        if self.users.len() >= MOST_USERS && !self.users.contains_key(&user) {
            self.users.retain(|_, used| !used.is_nothing(now));
        }
        self.users.len() < MOST_USERS || self.users.contains_key(&user)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use std::time::Duration;

    use super::*;

    const NOW: Tick = Tick::from_start(Duration::ZERO);

    fn user(number: u32) -> UserRef {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        UserRef::from_bytes(bytes)
    }

    #[test]
    fn a_loud_user_disturbs_nobody_else() {
        let quotas = Quotas { user: Quota::per_second(1), app: Quota::per_second(10) };
        let (mut counted, app) = (Counted::default(), AppId::new("shop").unwrap());
        let mut admit = |number| counted.admit(quotas, &app, user(number), NOW);
        let burst = (0..1000).filter(|_| admit(1).is_ok()).count();
        assert_eq!(burst, 60);
        let refused = admit(1).unwrap_err();
        assert!(
            matches!(&refused, Error::Exhausted { reason, retry_after: Some(wait) }
                if reason.contains("user") && *wait == Duration::from_secs(1)),
            "{refused:?}"
        );
        // What was refused to the one is left to the others.
        let others = (2..1000).filter(|number| admit(*number).is_ok()).count();
        assert_eq!(others, 540);
        assert!(
            matches!(admit(1001), Err(Error::Exhausted { reason, .. }) if reason.contains("app"))
        );
    }

    #[test]
    fn users_who_use_nothing_are_forgotten_when_there_are_many() {
        let quotas = Quotas { user: Quota::per_second(1), app: None };
        let (mut counted, app) = (Counted::default(), AppId::new("shop").unwrap());
        let most = u32::try_from(MOST_USERS).unwrap();
        for number in 0..most + 10 {
            counted.admit(quotas, &app, user(number), NOW).unwrap();
        }
        assert_eq!(counted.users.len(), MOST_USERS);
        let later = NOW.after(Duration::from_secs(2));
        counted.admit(quotas, &app, user(most + 10), later).unwrap();
        assert_eq!(counted.users.len(), 1);
    }
}
