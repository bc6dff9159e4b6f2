//! A user's reach: the endpoints, and what is remembered of retired ones.

use std::collections::BTreeMap;

use crate::{
    AgendaChange, AgendaEntry, Due, Endpoint, EndpointId, Event, Limits, Offset, PushStyle,
    RegistrationId, RetireReason, Timestamp, Tombstone,
};

/// Everything about where a user can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Folded up to here: the offset after the last event that was looked at.
    pub as_of: Offset,
    /// Live endpoints, at most [`Limits::ENDPOINTS_PER_USER`].
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    /// Retired ones, at most [`Limits::TOMBSTONES_PER_USER`].
    pub tombstones: BTreeMap<EndpointId, Tombstone>,
}

impl Reach {
    /// Folds the event at `at`, appended at `time`. Answers the agenda changes, or `None` if it
    /// changed nothing.
    pub(crate) fn apply(
        &mut self,
        at: Offset,
        time: Timestamp,
        event: &Event,
    ) -> Option<Vec<AgendaChange>> {
        if at < self.as_of {
            return None;
        }
        let changes = match event {
            Event::EndpointRegistered { endpoint, registration, address, style, lease_until } => {
                let lease_until = (*lease_until).min(time.after(Limits::LONGEST_LEASE));
                let (registration, address, style) = (*registration, address.clone(), *style);
                let (since, registered_at) = (at, time);
                let now =
                    Endpoint { registration, address, style, since, registered_at, lease_until };
                self.register(*endpoint, now)
            }
            Event::EndpointRenewed { endpoint, registration, lease_until } => {
                let lease_until = (*lease_until).min(time.after(Limits::LONGEST_LEASE));
                self.renew(*endpoint, *registration, lease_until)
            }
            Event::EndpointRetired { endpoint, registration, reason } => {
                self.retire(at, time, *endpoint, *registration, *reason)
            }
            Event::CameDue(AgendaEntry { due: Due::Lapse { endpoint, registration }, .. }) => {
                self.lapse(at, time, *endpoint, *registration)
            }
            _ => None,
        };
        if changes.is_some() {
            self.as_of = at.next();
        }
        changes
    }

    /// A registration of an endpoint that is there goes on with its life, unless it begins or ends
    /// to be pushed to: what was posted without pushes is not pushed afterwards.
    fn register(&mut self, id: EndpointId, mut now: Endpoint) -> Option<Vec<AgendaChange>> {
        let before = self.endpoints.get(&id);
        if before.is_none() && self.endpoints.len() >= Limits::ENDPOINTS_PER_USER {
            return None;
        }
        let mut agenda = Vec::new();
        if let Some(before) = before {
            agenda.push(lapse_entry(id, before, AgendaChange::Remove));
            if (before.style == PushStyle::None) == (now.style == PushStyle::None) {
                now.since = before.since;
            }
        }
        agenda.push(lapse_entry(id, &now, AgendaChange::Add));
        self.endpoints.insert(id, now);
        self.tombstones.remove(&id);
        Some(agenda)
    }

    fn renew(
        &mut self,
        id: EndpointId,
        registration: RegistrationId,
        lease_until: Timestamp,
    ) -> Option<Vec<AgendaChange>> {
        let endpoint =
            self.endpoints.get_mut(&id).filter(|found| found.registration == registration)?;
        let before = lapse_entry(id, endpoint, AgendaChange::Remove);
        endpoint.lease_until = lease_until;
        Some(vec![before, lapse_entry(id, endpoint, AgendaChange::Add)])
    }

    fn retire(
        &mut self,
        at: Offset,
        time: Timestamp,
        id: EndpointId,
        judged: Option<RegistrationId>,
        reason: RetireReason,
    ) -> Option<Vec<AgendaChange>> {
        let current = self.endpoints.get(&id)?;
        if judged.is_some_and(|judged| judged != current.registration) {
            return None;
        }
        let agenda = vec![lapse_entry(id, current, AgendaChange::Remove)];
        let tombstone = Tombstone { registration: current.registration, at, time, reason };
        self.endpoints.remove(&id);
        self.tombstones.insert(id, tombstone);
        if self.tombstones.len() > Limits::TOMBSTONES_PER_USER {
            let oldest = self.tombstones.iter().min_by_key(|(_, t)| t.at).map(|(id, _)| *id);
            oldest.and_then(|id| self.tombstones.remove(&id));
        }
        Some(agenda)
    }

    /// A lease that was renewed after the entry came due does not lapse.
    fn lapse(
        &mut self,
        at: Offset,
        time: Timestamp,
        id: EndpointId,
        registration: RegistrationId,
    ) -> Option<Vec<AgendaChange>> {
        let lapsed = self.endpoints.get(&id).is_some_and(|found| found.lease_until <= time);
        if !lapsed {
            return None;
        }
        self.retire(at, time, id, Some(registration), RetireReason::Lapsed)
    }
}

fn lapse_entry(
    id: EndpointId,
    endpoint: &Endpoint,
    change: fn(AgendaEntry) -> AgendaChange,
) -> AgendaChange {
    let due = Due::Lapse { endpoint: id, registration: endpoint.registration };
    change(AgendaEntry { at: endpoint.lease_until, due })
}
