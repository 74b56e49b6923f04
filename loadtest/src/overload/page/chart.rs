//! A chart with lines, as SVG inside the page.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;
/// Lines across the chart, about.
const GRID: f64 = 5.0;

/// Points joined by a line.
#[derive(Debug)]
pub(super) struct Series {
    name: String,
    /// A colour of the page's style.
    colour: &'static str,
    dashed: bool,
    points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn line(name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), colour, dashed: false, points }
    }

    pub(super) fn dashed(name: &str, colour: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { dashed: true, ..Self::line(name, colour, points) }
    }
}

/// A chart.
#[derive(Debug)]
pub(super) struct Chart {
    of: &'static str,
    against: &'static str,
    logarithmic: bool,
    stacked: bool,
    series: Vec<Series>,
}

impl Chart {
    pub(super) fn new(of: &'static str, against: &'static str) -> Self {
        Self { of, against, logarithmic: false, stacked: false, series: Vec::new() }
    }

    pub(super) fn logarithmic(self) -> Self {
        Self { logarithmic: true, ..self }
    }

    /// Areas on top of each other instead of lines; all series have their points at the same places.
    pub(super) fn stacked(self) -> Self {
        Self { stacked: true, ..self }
    }

    /// With one more line; one without points is left out.
    pub(super) fn with(mut self, series: Series) -> Self {
        if !series.points.is_empty() {
            self.series.push(series);
        }
        self
    }

    /// What is drawn: the points themselves, or the upper edge of each area.
    fn edges(&self) -> Vec<Vec<(f64, f64)>> {
        let mut edges: Vec<Vec<(f64, f64)>> = Vec::new();
        for series in &self.series {
            let below = edges.last().filter(|_| self.stacked);
            let on = |index: usize| below.and_then(|below| below.get(index)).map_or(0.0, |(_, y)| *y);
            edges.push(series.points.iter().enumerate().map(|(index, (x, y))| (*x, y + on(index))).collect());
        }
        edges
    }

    fn height(&self, y: f64) -> f64 {
        if self.logarithmic { y.max(1.0).log10() } else { y }
    }

    pub(super) fn svg(&self) -> String {
        let edges = self.edges();
        let all = || edges.iter().flatten();
        let x_max = all().map(|(x, _)| *x).fold(f64::EPSILON, f64::max);
        let y_top = all().map(|(_, y)| self.height(*y)).fold(f64::EPSILON, f64::max);
        let y_step = if self.logarithmic { 1.0 } else { nice(y_top / GRID) };
        let y_max = (y_top / y_step).ceil() * y_step;
        let (across, up) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let place = |x: f64, y: f64| (LEFT + across * x / x_max, TOP + up * (1.0 - y / y_max));
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} against {}\">",
            self.of, self.against
        );
        let right = WIDTH - RIGHT;
        for number in 0..=20 {
            let y = f64::from(number) * y_step;
            if y > y_max + y_step / 2.0 {
                break;
            }
            let (_, at) = place(0.0, y);
            let shown = if self.logarithmic { 10_f64.powf(y) } else { y };
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"var(--line)\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                short(shown)
            );
        }
        let x_step = nice(x_max / 10.0);
        for number in 0..=20 {
            let x = f64::from(number) * x_step;
            if x > x_max * 1.001 {
                break;
            }
            let (at, _) = place(x, 0.0);
            let _ = write!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 16.0,
                short(x)
            );
        }
        let middle = LEFT + across / 2.0;
        let _ = write!(
            svg,
            "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 6.0,
            self.against
        );
        let _ = write!(svg, "<text x=\"4\" y=\"12\">{}</text>", self.of);
        self.draw(&mut svg, &edges, place);
        self.legend() + &svg + "</svg>"
    }

    /// The names beside the colours, as text of the page: it breaks into lines on a phone, which text in a picture does not.
    fn legend(&self) -> String {
        let mut legend = String::new();
        for Series { name, colour, dashed, .. } in &self.series {
            let (width, style) = (if self.stacked { 10 } else { 3 }, if *dashed { "dashed" } else { "solid" });
            let _ = write!(legend, "<span><i style=\"border-top:{width}px {style} var({colour})\"></i>{name}</span> ");
        }
        format!("<p class=\"legend\">{legend}</p>")
    }

    /// A line for each series, or an area down to the one below.
    fn draw(&self, svg: &mut String, edges: &[Vec<(f64, f64)>], place: impl Fn(f64, f64) -> (f64, f64)) {
        let path = |edge: &[(f64, f64)]| -> Vec<String> {
            let points = edge.iter().map(|(x, y)| place(*x, self.height(*y)));
            points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect()
        };
        for (index, (series, edge)) in self.series.iter().zip(edges).enumerate() {
            let colour = series.colour;
            let mut points = path(edge);
            if self.stacked {
                let ground = || edge.iter().map(|(x, _)| (*x, 0.0)).collect();
                let below = index.checked_sub(1).map_or_else(ground, |below| edges[below].clone());
                points.extend(path(&below).into_iter().rev());
                let _ = write!(svg, "<polygon points=\"{}\" fill=\"var({colour})\"/>", points.join(" "));
                continue;
            }
            let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"var({colour})\" stroke-width=\"2\"{dash}/>",
                points.join(" ")
            );
        }
    }
}

/// 1, 2 or 5 times a power of ten, at least as large.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|nice| *nice >= step * 0.999).unwrap_or(step)
}

fn short(number: f64) -> String {
    if number < 10.0 && number.fract().abs() > 1e-9 { format!("{number:.1}") } else { format!("{number:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!([0.3, 1.0, 1.2, 21.0, 60.0].map(nice), [0.5, 1.0, 2.0, 50.0, 100.0]);
    }

    #[test]
    fn areas_lie_on_each_other_and_fill_the_whole() {
        let svg = Chart::new("y", "x")
            .stacked()
            .with(Series::line("good", "--good", vec![(0.0, 100.0), (10.0, 20.0)]))
            .with(Series::line("refused", "--shed", vec![(0.0, 0.0), (10.0, 80.0)]))
            .svg();
        assert!(svg.contains("points=\"56.0,24.0 704.0,212.8 704.0,260.0 56.0,260.0\" fill=\"var(--good)\""), "{svg}");
        assert!(svg.contains("points=\"56.0,24.0 704.0,24.0 704.0,212.8 56.0,24.0\" fill=\"var(--shed)\""), "{svg}");
    }

    #[test]
    fn points_stay_inside_and_empty_lines_are_left_out() {
        let svg = Chart::new("y", "x")
            .with(Series::line("nowhere", "--good", Vec::new()))
            .with(Series::line("some", "--good", vec![(0.0, 0.0), (10.0, 437.0)]))
            .svg();
        assert!(!svg.contains("nowhere") && svg.contains("some"));
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(points.starts_with("56.0,260.0 704.0,"), "{points}");
        assert!(svg.contains(">500<"), "the next round number is on top");
    }
}
