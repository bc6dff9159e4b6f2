//! Words that several services translate.

use std::sync::Arc;

use campanile_core::{Item, Platform, PlatformMask, Position, Timestamp};
use campanile_engine::edge::Target;
use campanile_proto::convert::{self, Violation};
use campanile_proto::v1;

/// Whom a request is about.
pub(crate) fn target(wire: Option<v1::Target>) -> Result<Target, Violation> {
    match wire.and_then(|wire| wire.target) {
        Some(v1::target::Target::UserId(text)) => {
            convert::user_id("target.user_id", &text).map(Target::User)
        }
        Some(v1::target::Target::Unsid(unsid)) => Ok(Target::Unsid(unsid)),
        None => Err(Violation::new("target", "must be a user_id or an unsid")),
    }
}

pub(crate) const fn position(position: Position) -> v1::Position {
    v1::Position {
        generation: position.generation.0,
        partition: position.partition.0 as u32,
        offset: position.offset.0,
    }
}

/// An instant in the wire's words. Seconds beyond what they hold are the end of time.
pub(crate) fn instant(at: Timestamp) -> prost_types::Timestamp {
    let nanos = (at.as_millis() % 1000) as i32 * 1_000_000;
    prost_types::Timestamp { seconds: i64::try_from(at.as_secs()).unwrap_or(i64::MAX), nanos }
}

/// A notification as its user has it.
pub(crate) fn item(item: &Item) -> v1::InboxItem {
    let named = Platform::ALL.into_iter().filter(|platform| item.platforms.contains(*platform));
    let platforms = match item.platforms == PlatformMask::ALL {
        true => Vec::new(),
        false => named.map(|platform| convert::platform_to_wire(platform).into()).collect(),
    };
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    v1::InboxItem {
        notification_id: item.id.to_string(),
        app_notification_id: text(&item.app_notification_id),
        group: text(&item.group),
        campaign: text(&item.campaign),
        content: convert::content_to_wire(&item.content),
        revision: item.revision,
        platforms,
        priority: convert::priority_to_wire(item.priority).into(),
        created_at: Some(instant(item.created)),
        modified_at: Some(instant(item.modified)),
        expires_at: Some(instant(item.expires_at)),
        read: item.read,
        action: convert::action_to_wire(item.action).into(),
        ended: item.ended.map(|ended| convert::ended_to_wire(ended).into()),
    }
}
