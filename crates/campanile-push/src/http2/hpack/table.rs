//! The two tables of fields that an index refers to.

use std::collections::VecDeque;

use super::TABLE_SIZE;

/// RFC 7541 appendix A; the first has index 1.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// What an entry counts beside its text (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;

/// The dynamic table: the newest fields, as many as have room. `N` is the form of a name.
pub(super) struct Table<N> {
    /// The newest first.
    entries: VecDeque<(N, Box<[u8]>)>,
    size: usize,
    limit: usize,
}

impl<N: AsRef<[u8]>> Table<N> {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: TABLE_SIZE }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The entry that the index `at` beyond those of [`STATIC`] refers to, from zero.
    pub(super) fn get(&self, at: usize) -> Option<(&N, &[u8])> {
        self.entries.get(at).map(|(name, value)| (name, &**value))
    }

    /// Where the newest field stands that `is` the one.
    pub(super) fn find(&self, is: impl Fn((&N, &[u8])) -> bool) -> Option<usize> {
        self.entries.iter().position(|(name, value)| is((name, value)))
    }

    /// Adds a field, for which older ones go. One that is larger than the table empties it (RFC
    /// 7541 section 4.4).
    pub(super) fn add(&mut self, name: N, value: &[u8]) {
        let size = size(&name, value);
        self.shrink(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.size += size;
            self.entries.push_front((name, value.into()));
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink(limit);
    }

    fn shrink(&mut self, most: usize) {
        while self.size > most
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.size -= size(&name, &value);
        }
    }
}

fn size(name: &impl AsRef<[u8]>, value: &[u8]) -> usize {
    name.as_ref().len() + value.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7541 appendix C.5.2: an entry is its text and 32, and the oldest goes for a new one.
    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let mut table = Table::new();
        table.set_limit(222);
        table.add("location", b"https://www.example.com");
        table.add("date", b"Mon, 21 Oct 2013 20:13:21 GMT");
        table.add("cache-control", b"private");
        table.add(":status", b"302");
        assert_eq!((table.size, table.entries.len()), (222, 4));
        table.add(":status", b"307");
        assert_eq!((table.size, table.entries.len()), (222 - 63 + 42, 4));
        table.add("larger than all", &[0; 222]);
        assert_eq!((table.size, table.entries.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn it_is_never_larger_than_its_limit(
            steps in prop::collection::vec((0_usize..5000, prop::option::of(0_usize..5000)), 0..30),
        ) {
            let mut table = Table::new();
            for (length, limit) in steps {
                limit.into_iter().for_each(|limit| table.set_limit(limit));
                table.add("name", &vec![0; length]);
                let entries = table.entries.iter().map(|(_, value)| 4 + value.len() + 32);
                prop_assert_eq!(entries.sum::<usize>(), table.size);
                prop_assert!(table.size <= table.limit());
            }
        }
    }
}
