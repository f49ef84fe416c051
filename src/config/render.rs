//! Problems with the lines they are about, as rustc shows its own.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::problem::{Problem, Severity, Source};

/// Shows every problem with its source line; those without a place, without.
pub(super) fn render(problems: &[Problem], sources: &[Source], color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for problem in problems {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&renderer.render(&report(problem, sources)));
    }
    text
}

fn report<'a>(problem: &'a Problem, sources: &'a [Source]) -> Vec<Group<'a>> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&problem.message));
    let source = sources.iter().find(|source| source.name == problem.file);
    match (source, &problem.span) {
        (Some(source), Some(span)) => {
            let mut snippet = Snippet::source(&*source.text)
                .path(&source.name)
                .annotation(
                    AnnotationKind::Primary
                        .span(clamp(span, &source.text))
                        .label(&problem.path),
                );
            for related in problem.related.iter().filter(|r| r.file == source.name) {
                snippet = snippet.annotation(
                    AnnotationKind::Context
                        .span(clamp(&related.span, &source.text))
                        .label(&related.label),
                );
            }
            group = group.element(snippet);
        }
        _ if problem.file.is_empty() => {}
        _ => group = group.element(annotate_snippets::Origin::path(&problem.file)),
    }
    for related in problem.related.iter().filter(|r| r.file != problem.file) {
        if let Some(source) = sources.iter().find(|source| source.name == related.file) {
            group = group.element(
                Snippet::source(&*source.text)
                    .path(&source.name)
                    .annotation(
                        AnnotationKind::Context
                            .span(clamp(&related.span, &source.text))
                            .label(&related.label),
                    ),
            );
        }
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    vec![group]
}

/// A span that is inside the text, on character boundaries, and ends with its first line: a caret below a whole
/// block scalar says less than one below its start.
fn clamp(span: &std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if let Some(line_end) = text[start..end].find('\n') {
        end = start + line_end;
    }
    start..end
}
