//! Between the wire and the core: words as they are, values as far as they keep the rules.

mod check;
mod values;
mod words;

pub use check::{
    Field, Violation, address, app, batch, content, endpoint_id, fallback, instant, lease, name,
    notification_id, page_size, platforms, priority, push_style, span, user_id,
};
pub use values::{address_to_wire, content_to_wire, fallback_to_wire, visual_to_wire};
pub use words::{
    action_from_wire, action_to_wire, dead_from_wire, dead_to_wire, ended_from_wire, ended_to_wire,
    environment_from_wire, environment_to_wire, hold_from_wire, hold_to_wire, platform_from_wire,
    platform_to_wire, priority_from_wire, priority_to_wire, retire_from_wire, retire_to_wire,
    style_from_wire, style_to_wire, suppression_from_wire, suppression_to_wire, verdict_from_wire,
    verdict_to_wire,
};
