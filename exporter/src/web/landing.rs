//! The page at `/`.

use crate::config::Part;

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem}\
h1{margin:0;font-size:2rem;letter-spacing:-.02em}\
p{margin:.25rem 0 1.5rem;opacity:.75}\
ul{list-style:none;padding:0;border-top:1px solid #8884}\
li{border-bottom:1px solid #8884}\
a{display:flex;justify-content:space-between;gap:1rem;padding:.7rem .2rem;color:inherit;text-decoration:none}\
a:hover,a:focus{background:#8882}\
code{opacity:.75}";

/// The HTML, with links to the metrics and the health checks.
pub(super) fn page(part: Part, prefix: &str, telemetry_path: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let what = match part {
        Part::All => "this machine and its containers",
        Part::Node => "this machine",
        Part::Containers => "this machine's containers",
    };
    let links = [(telemetry_path, "Metrics"), ("/-/healthy", "Is it alive?"), ("/-/ready", "Is it ready?")]
        .map(|(path, name)| {
            let path = escape(&format!("{prefix}{path}"));
            format!("<li><a href=\"{path}\">{name}<code>{path}</code></a></li>\n")
        });
    let links = links.concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>nodetally</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>nodetally</h1>\n\
         <p>Figures of {what} for Prometheus. Version {version}.</p>\n\
         <ul>\n{links}</ul>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_the_telemetry_path() {
        let html = page(Part::All, "", "/a\"><b>&");
        assert!(html.contains("href=\"/a&quot;&gt;&lt;b&gt;&amp;\"") && !html.contains("<b>"), "{html}");
        assert!(html.contains(env!("CARGO_PKG_VERSION")));
        let html = page(Part::Containers, "/p", "/m");
        assert!(html.contains("href=\"/p/m\"") && html.contains("href=\"/p/-/ready\""), "{html}");
    }
}
