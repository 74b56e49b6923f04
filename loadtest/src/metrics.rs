//! What nodes say of themselves in the text format of Prometheus.

use anyhow::Context as _;

use crate::cluster::Node;

/// What a node shows at this moment.
pub(crate) async fn page(http: &reqwest::Client, node: &Node) -> anyhow::Result<String> {
    let url = format!("http://{}/metrics", node.ops_address);
    let asked = async { http.get(&url).send().await?.error_for_status()?.text().await };
    asked.await.with_context(|| url.clone())
}

/// The sum of a metric's series; none if there are none.
pub(crate) fn sum(text: &str, name: &str) -> Option<f64> {
    let series = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).reduce(|sum, value| sum + value)
}

/// Calls that were served, by the count of their durations: of one operation, or of all whose name begins so.
pub(crate) fn served(text: &str, operation: &str) -> u64 {
    let series = text.lines().filter(|line| line.starts_with("trestle_operation_duration"));
    let counts = series.filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let ours = name.ends_with("_count") && label(labels, "operation")?.starts_with(operation);
        ours.then(|| value.trim().parse::<f64>().ok())?
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of calls")]
    let sum = counts.sum::<f64>() as u64;
    sum
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counts_of_the_operation_are_added_up() {
        let text = "\
# TYPE trestle_operation_duration_seconds histogram
trestle_operation_duration_seconds_bucket{operation=\"shop.product\",outcome=\"ok\",le=\"0.1\"} 7
trestle_operation_duration_seconds_count{operation=\"shop.product\",outcome=\"ok\",node=\"1\"} 9
trestle_operation_duration_seconds_count{operation=\"shop.product\",outcome=\"failing\",node=\"1\"} 3
trestle_operation_duration_seconds_count{operation=\"shop.cart\",outcome=\"ok\",node=\"1\"} 5
trestle_operation_duration_seconds_sum{operation=\"shop.cart\",outcome=\"ok\",node=\"1\"} 50
trestle_other_count{operation=\"shop.cart\"} 100
";
        assert_eq!(sum(text, "trestle_other_count"), Some(100.0));
        assert_eq!(
            (sum(text, "trestle_other"), sum(text, "trestle_operation_duration_seconds_count")),
            (None, Some(17.0))
        );
        assert_eq!((served(text, "shop.product"), served(text, "shop."), served(text, "orders.")), (12, 17, 0));
    }
}
