//! A comparison as files: regret curves as SVG, and one HTML page with everything on it.

mod curve;

use std::fmt::Write as _;

use agenttts_core::Estimate;
use agenttts_core::text::{decimal, escaped};

use crate::results::{LandscapeSummary, MethodSummary, Results};
pub(crate) use curve::{CHART_STYLE, STYLE, steps};
use curve::{curve, curve_file};

/// The regret curves of one landscape as an SVG file.
pub fn svg(landscape: &LandscapeSummary) -> String {
    curve_file(landscape)
}

/// The name of a landscape's SVG file: the landscape's name, with what a file name must not hold replaced.
pub fn svg_name(landscape: &LandscapeSummary) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = landscape.landscape.chars().map(safe).collect();
    format!("{}.svg", name.trim_start_matches('.'))
}

/// All of a comparison as one self-contained HTML page.
pub fn html(results: &Results) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Search methods compared</title>\n\
         <style>{STYLE}{PAGE_STYLE}{CHART_STYLE}</style></head><body>\n<h1>Search methods compared</h1>\n\
         <p>{} seeds. A method sees noisy trials only; it is judged by the true score of the plan that it recommends. \
         Numbers are means with half their 95% intervals over the seeds.</p>\n",
        results.seeds
    );
    for fault in &results.faults {
        let of = format!("{} on {} (seed {}): {}", fault.method, fault.landscape, fault.seed, fault.message);
        let _ = writeln!(page, "<p class=\"fault\">Failed: {}</p>", escaped(&of));
    }
    if results.summary.len() > 1 {
        overall(&mut page, results);
    }
    for landscape in &results.summary {
        one(&mut page, results, landscape);
    }
    page + "</body></html>\n"
}

/// The classes of a page.
pub(crate) const PAGE_STYLE: &str = "\
body{margin:0 auto;padding:2.5rem 1.5rem 4rem;max-width:66rem;background:var(--paper);color:var(--ink);\
font:16px/1.55 Inter,system-ui,sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:2rem;line-height:1.2} h2{font-size:1.3rem;margin:3rem 0 .3rem} p{max-width:46rem}
.scroll{overflow-x:auto} table{border-collapse:collapse;font-size:.875rem;margin:.6rem 0 1rem;min-width:40rem}
caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{text-align:right;padding:.4rem 1.2rem .4rem 0;border-bottom:1px solid var(--hair);white-space:nowrap}
th:first-child{text-align:left} thead th{color:var(--soft);font-weight:500;border-bottom:1px solid var(--line)}
.fault{border-left:3px solid var(--k4);padding-left:.8rem} .soft{color:var(--soft);font-size:.875rem}
";

fn overall(page: &mut String, results: &Results) {
    let Some(first) = results.overall.first() else { return };
    let _ = writeln!(page, "<h2>Mean of {} landscapes</h2>", results.summary.len());
    let at = |c: Option<f64>| c.map_or_else(|| "at the end".to_owned(), number);
    let heads = first.points.iter().map(|p| at(p.evaluations));
    let heads = ["method".to_owned()].into_iter().chain(heads);
    let heads = heads.chain(["normalised regret at the end", "better on", "worse on"].map(String::from));
    let rows = results.overall.iter().map(|m| {
        let last = m.points.last().map_or_else(String::new, |p| estimate(&p.normalised_regret));
        let (better, worse) = m.better_worse;
        let cells = [m.method.clone()].into_iter().chain(m.points.iter().map(|p| estimate(&p.ratio)));
        cells.chain([last, better.to_string(), worse.to_string()]).collect()
    });
    table(page, "true score of the recommended plan over the best", &heads.collect::<Vec<_>>(), rows.collect());
    page.push_str(
        "<p class=\"soft\">Better and worse: landscapes on which the difference to the best outside method there is \
         significant (its interval leaves 0 out).</p>\n",
    );
}

fn one(page: &mut String, results: &Results, landscape: &LandscapeSummary) {
    let unit = landscape.unit.name();
    let _ = write!(
        page,
        "<h2>{}</h2>\n<p>{} plans, {} within the plan budget; {} {unit} a run.</p>\n<figure>{}</figure>\n",
        escaped(&landscape.landscape),
        landscape.plans,
        landscape.feasible,
        number(landscape.budget),
        curve(landscape)
    );
    let points = landscape.methods.first().map_or(&[][..], |m| &m.points);
    let at: Vec<String> = points.iter().map(|p| number(p.evaluations)).collect();
    let heads = ["method", "examples a trial"].map(String::from).into_iter().chain(at.clone());
    let heads = heads.chain([
        "98% from".into(),
        "seeds there".into(),
        landscape.against(),
        "evaluations".into(),
        "seconds a run".into(),
    ]);
    let row = |m: &MethodSummary| -> Vec<String> {
        let seconds = results.seconds(&landscape.landscape, &m.method).unwrap_or(0.0);
        let cells = [m.method.clone(), m.examples.map_or_else(|| "its own".into(), |n| n.to_string())].into_iter();
        let cells = cells.chain(m.points.iter().map(|p| estimate(&p.ratio)));
        let cells = cells.chain([
            m.arrived_at.map_or_else(|| "-".to_owned(), number),
            format!("{:.0}%", m.arrived * 100.0),
            m.difference.as_ref().map_or_else(|| "-".to_owned(), difference),
            format!("{:.0}", m.evaluated),
            format!("{seconds:.2}"),
        ]);
        cells.collect()
    };
    let rows = landscape.methods.iter().map(row).collect();
    let caption = format!("true score of the recommended plan over the best, after so many {unit}");
    table(page, &caption, &heads.collect::<Vec<_>>(), rows);
    let rows = landscape.methods.iter().map(|m| {
        [m.method.clone()].into_iter().chain(m.points.iter().map(|p| estimate(&p.normalised_regret))).collect()
    });
    let heads: Vec<String> = ["method".to_owned()].into_iter().chain(at).collect();
    table(page, "normalised regret: 0 = the best plan, 1 = what a blind draw expects", &heads, rows.collect());
    if let Some(best) = &landscape.best_on_test {
        test(page, landscape, best);
    }
}

/// What the recommended plans do on examples that no trial used.
fn test(page: &mut String, landscape: &LandscapeSummary, best: &Estimate) {
    let heads = ["method".to_owned(), "trials to 98%".into(), "test".into(), landscape.against()];
    let row = |m: &MethodSummary| {
        vec![
            m.method.clone(),
            m.arrived_after.map_or_else(|| "-".to_owned(), number),
            m.test.as_ref().map_or_else(|| "-".to_owned(), estimate),
            m.test_difference.as_ref().map_or_else(|| "-".to_owned(), difference),
        ]
    };
    let caption = format!(
        "score of the recommended plans on {} test examples, ± over these examples; the plan that is best on the search \
         examples has {}",
        best.n,
        estimate(best)
    );
    table(page, &caption, &heads, landscape.methods.iter().map(row).collect());
}

/// A table with a caption; the first cell of a row is its head.
pub(crate) fn table(page: &mut String, caption: &str, heads: &[String], rows: Vec<Vec<String>>) {
    let _ = write!(page, "<div class=\"scroll\"><table><caption>{}</caption><thead><tr>", escaped(caption));
    for head in heads {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(head));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let _ =
                if i == 0 { write!(page, "<th scope=\"row\">{cell}</th>") } else { write!(page, "<td>{cell}</td>") };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// `0.957 ±0.013`.
pub(crate) fn estimate(e: &Estimate) -> String {
    let half = (e.high - e.low) / 2.0;
    if half.is_finite() { format!("{:.3} ±{half:.3}", e.mean) } else { format!("{:.3}", e.mean) }
}

/// `+0.012 ±0.013`.
pub(crate) fn difference(e: &Estimate) -> String {
    let half = (e.high - e.low) / 2.0;
    if half.is_finite() { format!("{:+.3} ±{half:.3}", e.mean) } else { format!("{:+.3}", e.mean) }
}

/// A number with no more digits than it needs.
pub(crate) fn number(value: f64) -> String {
    decimal(value, 4)
}
