//! What readers see while a commit becomes visible.

use super::*;

/// The catalogue names a commit's frames before its lanes do. Who reads the files between the two
/// steps must end where the lane ends: a position beyond it is refused at the next read.
#[test]
fn the_files_are_not_read_beyond_what_is_visible() {
    run(async {
        let options = LogOptions { tail_bytes: 0, ..OPTIONS };
        let (log, _) = open_with(&new_disk(), options).unwrap();
        let log = stream(&log, Stream::Events);
        for number in 0..4 {
            append_one(&log, 0, &body(number)).await.unwrap();
        }
        log.core().lanes.change(0).unwrap().head.next = 3;
        let all = ReadLimit { records: 100, bytes: 1 << 20 };
        let batch = log.read(Partition(0), Offset(0), all).await.unwrap();
        assert_eq!((batch.records.len(), batch.next), (3, Offset(3)));
    });
}
