//! The report as a page that needs nothing else: the table, and how it went, plotted.

use std::fmt::Write;

use crate::error::LoadError;
use crate::figures::Figure;
use crate::plots::{Line, by_rarity, over_time};
use crate::report::{Report, number};
use crate::samples::Sample;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
                     table{border-collapse:collapse}td,th{padding:.1em .8em;text-align:right;\
                     border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
                     svg{max-width:100%;height:auto}pre{background:#f4f4f4;padding:1em}";

/// A value of a sample; `None` if there is none.
type Of = fn(&Sample) -> Option<f64>;

/// What is plotted over time.
const OVER_TIME: [(&str, Of); 9] = [
    ("notifications durable /s", |sample| Some(sample.durable)),
    ("pushes acknowledged /s", |sample| Some(sample.pushed)),
    ("pushes under way", |sample| Some(sample.under_way)),
    ("lag: age of the oldest record that a group has not finished, s", |sample| sample.lag),
    ("publish to provider, median of each second, ms", |sample| Some(sample.p50)),
    ("publish to provider, 99th percentile of each second, ms", |sample| Some(sample.p99)),
    ("host lateness, 99th percentile of each second, ms", |sample| Some(sample.host_p99)),
    ("CPUs that the engine uses", |sample| Some(sample.engine_cpus)),
    ("memory that the engine holds, MiB", |sample| Some(sample.engine_mib)),
];

/// The page.
///
/// # Errors
/// [`LoadError::Plot`].
pub(crate) fn page(report: &Report) -> Result<String, LoadError> {
    let (name, about) = (escaped(&report.name), escaped(&report.scenario.about));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{name}</h1>\n<p>{about}</p>\n<p>{}</p>\n",
        escaped(&report.machine)
    );
    page += &table(report);
    for plot in plots(report)? {
        page += &plot;
        page.push('\n');
    }
    let scenario = serde_json::to_string_pretty(&report.scenario)?;
    // Writing into a text does not fail.
    let _written = write!(page, "<h2>Scenario</h2>\n<pre>{}</pre>\n", escaped(&scenario));
    page += "</body></html>\n";
    Ok(page)
}

fn table(report: &Report) -> String {
    let mut rows = String::new();
    for Figure { name, value } in &report.median.0 {
        let (least, most) = report.range(name);
        let (name, target) = (escaped(name), escaped(&report.target(name)));
        let [value, least, most] = [*value, least, most].map(number);
        let _written = writeln!(
            rows,
            "<tr><td>{name}</td><td>{value}</td><td>{least}</td><td>{most}</td><td>{target}</td></tr>"
        );
    }
    format!(
        "<table><tr><th>median of {} rounds</th><th></th><th>least</th><th>most</th><th></th></tr>\n\
         {rows}</table>\n",
        report.rounds.len()
    )
}

fn plots(report: &Report) -> Result<Vec<String>, LoadError> {
    let rounds = || (1..).zip(&report.rounds);
    let mut plots = Vec::new();
    for (title, of) in OVER_TIME {
        let lines = rounds().map(|(number, round)| Line {
            name: format!("round {number}"),
            points: round.samples.iter().filter_map(|it| Some((it.at, of(it)?))).collect(),
        });
        plots.extend(over_time(title, &lines.collect::<Vec<_>>())?);
    }
    let curves = rounds().flat_map(|(number, round)| {
        round.curves.iter().map(move |curve| Line {
            name: format!("{}, round {number}", curve.name),
            points: curve.points.clone(),
        })
    });
    plots.extend(by_rarity("how late the slowest were", &curves.collect::<Vec<_>>())?);
    Ok(plots)
}

/// As text of a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;
    use crate::figures::{Curve, Figures, PUSHED};
    use crate::report::Round;

    #[test]
    fn a_page_has_everything_in_it_and_refers_to_nothing() {
        let scenario = "about = \"a <b> & c\"\nusers = 1\nendpoints = 1\nrate = 1\n\
                        warm_up_seconds = 0\nseconds = 1\nrepeats = 1\n";
        let mut figures = Figures::default();
        figures.put(PUSHED, 1234.0);
        let sample = |at| Sample { at, durable: at, pushed: 7.0, ..Sample::default() };
        let curves = vec![Curve {
            name: "publish to provider".to_owned(),
            points: vec![(2.0, 1.0), (9.0, 4.0)],
        }];
        let round = Round { figures, samples: vec![sample(1.0), sample(2.0)], curves };
        let page = page(&Report::new("test", toml::from_str(scenario).unwrap(), vec![round]));
        let page = page.unwrap();
        assert!(page.contains("a &lt;b&gt; &amp; c") && page.contains("<td>1234</td>"));
        // Rates are there, and latencies by rarity; nobody measured the lag.
        assert_eq!(page.matches("<svg").count(), 3, "{page}");
        assert!(!page.contains("src=") && !page.contains("href="));
    }
}
