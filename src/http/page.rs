//! `/`: a small page with the services and where to go from here. No asset from elsewhere, no script.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderValue, StatusCode, header};

use super::reply::{HTML, Reply};
use crate::view::{LastExit, ServiceView, View};

/// How many services the page shows.
const MOST: usize = 500;

const HEAD: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>podvisor</title><style>
:root{color-scheme:light dark;--line:#8884;--dim:#888;--good:#1a7f37;--bad:#cf222e;--busy:#9a6700}
@media(prefers-color-scheme:dark){:root{--good:#3fb950;--bad:#f85149;--busy:#d29922}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem}
h1{font-size:1.4rem;margin:0}p{margin:.3rem 0 1.2rem;color:var(--dim)}a{color:inherit}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--dim)}.n{text-align:right}
.ready,.completed{color:var(--good)}.failed,.backoff{color:var(--bad)}
.w{width:60%}.w i{display:block;height:.8rem;min-width:2px;border-radius:2px;background:var(--good)}
.w i.open{background:repeating-linear-gradient(45deg,var(--busy) 0 4px,transparent 4px 8px)}
h2{font-size:1.05rem;margin:2rem 0 .2rem}@media(max-width:40rem){.o{display:none}}
.running,.starting,.blocked,.stopping{color:var(--busy)}.pending,.stopped{color:var(--dim)}
</style>"#;

/// The page as an answer. Whatever a name might smuggle in, a browser loads nothing and runs nothing.
pub(super) fn reply(view: &View) -> Reply {
    let mut reply = super::reply::reply(StatusCode::OK, HTML, render(view));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let policy = HeaderValue::from_static(policy);
    reply
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    reply
}

/// The page.
fn render(view: &View) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |t| t.as_secs_f64());
    let ready = view
        .services
        .iter()
        .filter(|s| s.required && s.ready)
        .count();
    let required = view.services.iter().filter(|s| s.required).count();
    let mut page = String::with_capacity(4096 + view.services.len().min(MOST) * 256);
    page.push_str(HEAD);
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        "<h1>podvisor {}</h1><p>{} · {ready} of {required} required services ready · \
         <a href=/livez?verbose>livez</a> <a href=/readyz?verbose>readyz</a> \
         <a href=/startupz?verbose>startupz</a> <a href=/metrics>metrics</a></p>\
         <table><tr><th>service<th>state<th class=n>pid<th class=n>uptime<th class=n>restarts<th class=o>last exit<th class=o>reason</tr>",
        env!("CARGO_PKG_VERSION"),
        view.phase.name(),
    );
    for service in view.services.iter().take(MOST) {
        row(&mut page, service, now);
    }
    page.push_str("</table>");
    waterfall(&mut page, view, now);
    if view.services.len() > MOST {
        let _ = write!(page, "<p>… and {} more", view.services.len() - MOST);
    }
    page.push('\n');
    page
}

fn row(page: &mut String, service: &ServiceView, now: f64) {
    let state = service.state.name();
    let restarts: u64 = service.tally.restarts.iter().sum();
    let pid = service.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let uptime = service
        .started_at
        .map(|at| ago(now - at))
        .unwrap_or_default();
    let exit = service
        .last_exit
        .map(|exit| last_exit(exit, now))
        .unwrap_or_default();
    let _ = write!(
        page,
        "<tr><td>{}<td class={state}>{state}<td class=n>{pid}<td class=n>{uptime}<td class=n>{restarts}<td class=o>{exit}<td class=o>{}</tr>",
        escape(&service.name),
        escape(&service.reason),
    );
}

/// When each service was started first, and until when that took, from podvisor's own start.
fn waterfall(page: &mut String, view: &View, now: f64) {
    let mut bars: Vec<(f64, f64, bool, &str)> = view
        .services
        .iter()
        .filter_map(|service| {
            let start = service.first.0? - view.began_at;
            let end = service.first.1.unwrap_or(now) - view.began_at;
            Some((start, end, service.first.1.is_none(), &*service.name))
        })
        .collect();
    bars.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.3.cmp(b.3)));
    // What is not ready yet does not squeeze the others together.
    let closed = bars.iter().filter(|(.., open, _)| !open);
    let last = closed.map(|(_, end, ..)| *end).fold(0.0, f64::max);
    let starts = bars.iter().map(|(start, ..)| *start).fold(0.0, f64::max);
    let whole = last.max(starts * 1.05).max(0.001);
    if bars.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Start-up</h2><table><tr><th>service<th class=n>started<th class=n>took<th></tr>",
    );
    for (start, end, open, name) in bars.into_iter().take(MOST) {
        let percent = |time: f64| (time / whole * 100.0).clamp(0.0, 100.0);
        let (left, right) = (percent(start), percent(end));
        let (took, class) = if open {
            ("not ready yet".to_owned(), "open")
        } else {
            (seconds(end - start), "done")
        };
        let _ = write!(
            page,
            "<tr><td>{}<td class=n>{}<td class=n>{took}<td class=w><i class={class} style=\"margin-left:{left:.2}%;width:{:.2}%\"></i></tr>",
            escape(name),
            seconds(start),
            right - left,
        );
    }
    page.push_str("</table>");
}

/// A short time for people: `12ms`, `3.4s`.
fn seconds(time: f64) -> String {
    match time.max(0.0) {
        time if time < 1.0 => format!("{:.0}ms", time * 1000.0),
        time if time < 120.0 => format!("{time:.1}s"),
        time => ago(time),
    }
}

fn last_exit(exit: LastExit, now: f64) -> String {
    let how = match (exit.code, exit.signal) {
        (_, Some(signal)) => crate::units::signal_label(signal),
        (Some(code), None) => format!("code {code}"),
        (None, None) => String::new(),
    };
    format!("{how}, {} ago", ago(now - exit.at))
}

/// A time for people: `42s`, `7m`, `3h`, `2d`.
fn ago(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        s if s < 120 => format!("{s}s"),
        s if s < 7200 => format!("{}m", s / 60),
        s if s < 172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_make_markup() {
        assert_eq!(
            escape("<script>\"&\u{7}"),
            "&lt;script&gt;&quot;&amp;\u{fffd}"
        );
    }

    #[test]
    fn times_are_short() {
        let all: Vec<String> = [-1.0, 59.9, 119.0, 120.0, 7200.0, 172_800.0]
            .map(ago)
            .into();
        assert_eq!(all, ["0s", "59s", "119s", "2m", "2h", "2d"]);
    }

    #[test]
    fn short_times_keep_their_digits() {
        let all: Vec<String> = [0.0, 0.0124, 3.44, 600.0].map(seconds).into();
        assert_eq!(all, ["0ms", "12ms", "3.4s", "10m"]);
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = render(&View::empty());
        assert!(!page.contains("src=") && !page.contains("http://") && !page.contains("<script"));
    }
}
