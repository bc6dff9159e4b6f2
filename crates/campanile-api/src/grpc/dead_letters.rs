//! For operators: deliveries that failed, and their way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use campanile_core::DeadReason;
use campanile_engine::gateway::{
    DeadLetter, DeadLetterFilter, Gateway, Redrivable, Redriven, Skipped,
};
use campanile_proto::convert::{self, Field, Violation};
use campanile_proto::v1;
use campanile_proto::v1::dead_letters_server::DeadLetters as Service;
use tonic::{Request, Response, Status};

use super::history::outcome;
use super::words;
use crate::context::context;
use crate::status::status;

const PAGE: usize = 100;
const REDRIVEN_AT_ONCE: usize = 500;

/// The service.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    gateway: Arc<Gateway>,
}

impl DeadLetters {
    pub(crate) const fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

#[tonic::async_trait]
impl Service for DeadLetters {
    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::ListDeadLettersRequest { filter: which, cursor, limit, .. } = request.into_inner();
        let limit = convert::page_size("limit", limit, PAGE).map_err(status)?;
        let which = filter(which).map_err(status)?;
        let cursor = (!cursor.is_empty()).then_some(cursor.as_str());
        let page = self.gateway.dead_letters(&context, &which, cursor, limit).await;
        let page = page.map_err(status)?;
        Ok(Response::new(v1::ListDeadLettersResponse {
            dead_letters: page.letters.iter().map(letter).collect(),
            cursor: page.cursor.unwrap_or_default(),
            complete: page.complete,
        }))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<v1::RedriveDeadLettersRequest>,
    ) -> Result<Response<v1::RedriveDeadLettersResponse>, Status> {
        let context = context(&request, &request.get_ref().app).map_err(status)?;
        let v1::RedriveDeadLettersRequest { filter: which, cursor, limit, dry_run, .. } =
            request.into_inner();
        let limit = convert::page_size("limit", limit, REDRIVEN_AT_ONCE).map_err(status)?;
        let which = filter(which).map_err(status)?;
        let cursor = (!cursor.is_empty()).then_some(cursor.as_str());
        let done = self.gateway.redrive(&context, &which, cursor, limit, dry_run).await;
        let Redriven { redriven, skipped, cursor, complete } = done.map_err(status)?;
        let cursor = cursor.unwrap_or_default();
        let skipped = skipped.into_iter().map(left_alone).collect();
        Ok(Response::new(v1::RedriveDeadLettersResponse { redriven, skipped, cursor, complete }))
    }
}

fn filter(wire: Option<v1::DeadLetterFilter>) -> Result<DeadLetterFilter, Violation> {
    let wire = wire.unwrap_or_default();
    let target = wire.target.map(|target| words::target(Some(target)));
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let item = named(&wire.notification_id);
    let item = item.map(|id| convert::notification_id("filter.notification_id", &id));
    let endpoint = named(&wire.endpoint_id);
    let endpoint = endpoint.map(|id| convert::endpoint_id("filter.endpoint_id", &id));
    let platforms = convert::platforms(&wire.platforms)
        .map_err(|it| Violation { field: "filter.platforms", ..it })?;
    let instant = |field: Field, at: Option<prost_types::Timestamp>| {
        at.map(|at| convert::instant(field, &at)).transpose()
    };
    Ok(DeadLetterFilter {
        target: target.transpose().map_err(|it| Violation { field: "filter.target", ..it })?,
        item: item.transpose()?,
        endpoint: endpoint.transpose()?,
        platforms,
        reasons: reasons(&wire.reasons)?,
        from: instant("filter.from", wire.from)?,
        until: instant("filter.until", wire.until)?,
    })
}

/// The reasons; none named means all.
fn reasons(wire: &[i32]) -> Result<BTreeSet<DeadReason>, Violation> {
    if wire.is_empty() {
        return Ok(DeadReason::ALL.into());
    }
    let known = |number: &i32| {
        let known = v1::DeadReason::try_from(*number).ok().and_then(convert::dead_from_wire);
        known.ok_or_else(|| Violation::new("filter.reasons", "has an unknown reason"))
    };
    wire.iter().map(known).collect()
}

fn letter(letter: &DeadLetter) -> v1::DeadLetter {
    let (redrivable, not_due) = match letter.redrivable {
        Redrivable::Yes(_) => (v1::Redrivable::Yes, None),
        Redrivable::Redriven => (v1::Redrivable::Redriven, None),
        Redrivable::Accepted => (v1::Redrivable::Accepted, None),
        Redrivable::Forgotten => (v1::Redrivable::Forgotten, None),
        Redrivable::NotDue(why) => (v1::Redrivable::NotDue, Some(why)),
    };
    v1::DeadLetter {
        recorded_at: Some(words::instant(letter.time)),
        user: letter.receipt.user.to_string(),
        notification_id: letter.receipt.item.to_string(),
        platform: convert::platform_to_wire(letter.receipt.platform).into(),
        cause: letter.receipt.cause.0,
        delivery: Some(outcome(&letter.settled)),
        reason: convert::dead_to_wire(letter.reason).into(),
        redrivable: redrivable.into(),
        not_due: not_due.map(convert::suppression_to_wire).unwrap_or_default().into(),
    }
}

fn left_alone((why, count): (Skipped, u32)) -> v1::SkippedDeadLetters {
    let (why, not_due) = match why {
        Skipped::Redriven => (v1::Redrivable::Redriven, None),
        Skipped::Accepted => (v1::Redrivable::Accepted, None),
        Skipped::Forgotten => (v1::Redrivable::Forgotten, None),
        Skipped::NotDue(why) => (v1::Redrivable::NotDue, Some(why)),
    };
    let not_due = not_due.map(convert::suppression_to_wire).unwrap_or_default().into();
    v1::SkippedDeadLetters { why: why.into(), not_due, count }
}
