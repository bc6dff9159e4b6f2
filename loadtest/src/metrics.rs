//! How far the engine's groups are, as it says itself.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A page that takes longer is left out.
const WITHIN: Duration = Duration::from_millis(500);

/// How far behind the groups are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lag {
    /// Records that some group has not finished, of all groups.
    pub(crate) records: f64,
    /// Age of the oldest of them.
    pub(crate) seconds: f64,
}

/// Asks the engine that shows its metrics at `address`; `None` if it does not answer in time.
pub(crate) async fn lag(address: &str) -> Option<Lag> {
    timeout(WITHIN, page(address)).await.ok()?.ok().map(|page| read(&page))
}

async fn page(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

fn read(page: &str) -> Lag {
    let values = |name: &'static str| {
        let lines = page.lines().filter(move |line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    Lag {
        records: values("campanile_group_lag_events{").sum(),
        seconds: values("campanile_group_lag_seconds{").fold(0.0, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_summed_and_the_oldest_record_counts() {
        let page = "HTTP/1.1 200 OK\r\n\r\n# TYPE campanile_group_lag_events gauge\n\
                    campanile_group_lag_events{group=\"projector\"} 12\n\
                    campanile_group_lag_events{group=\"deliver:apns\"} 30\n\
                    campanile_group_lag_seconds{group=\"projector\"} 0.25\n\
                    campanile_group_lag_seconds{group=\"deliver:apns\"} 1.5\n";
        assert_eq!(read(page), Lag { records: 42.0, seconds: 1.5 });
        assert_eq!(read(""), Lag::default());
    }
}
