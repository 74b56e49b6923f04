//! Pages whose content the browser fills in from the API: cart, checkout, orders, sign-in. And the page for trouble.

use askama::Template;

use super::Shell;

/// The payment provider's test tokens in words, with what each is good for. The sandbox decides what they do.
pub(crate) const TEST_CARDS: [(&str, &str, &str); 8] = [
    ("tok_ok", "Test card that pays", "Charged at once."),
    ("tok_declined", "Test card that is declined", "Refused for good: nothing is charged, your cart stays."),
    ("tok_slow", "Test card of a slow bank", "Charged, but the answer takes a while."),
    (
        "tok_charge_then_timeout",
        "Test card whose reply gets lost",
        "Charged, and then silence. The shop has to find out by asking again.",
    ),
    (
        "tok_charge_then_500",
        "Test card that is charged and then reports an error",
        "The error is no proof that nothing happened, so nothing may be charged twice.",
    ),
    (
        "tok_500_no_charge",
        "Test card that fails once without charging",
        "The first try does nothing; the next one pays.",
    ),
    ("tok_429", "Test card of a bank that is too busy", "Turned away twice before it pays."),
    ("tok_late", "Test card that is charged late", "Charged after the shop has stopped waiting for the answer."),
];

/// The cart.
#[derive(Debug, Template)]
#[template(path = "cart.html")]
pub(crate) struct Basket {
    /// The frame.
    pub(crate) shell: Shell,
}

/// Address, payment, and the button that costs money.
#[derive(Debug, Template)]
#[template(path = "checkout.html")]
pub(crate) struct Checkout {
    shell: Shell,
    cards: &'static [(&'static str, &'static str, &'static str)],
}

impl Checkout {
    /// With all test cards.
    pub(crate) const fn new(shell: Shell) -> Self {
        Self { shell, cards: &TEST_CARDS }
    }
}

/// All orders.
#[derive(Debug, Template)]
#[template(path = "orders.html")]
pub(crate) struct Orders {
    /// The frame.
    pub(crate) shell: Shell,
}

/// One order.
#[derive(Debug, Template)]
#[template(path = "order.html")]
pub(crate) struct OrderPage {
    /// The frame.
    pub(crate) shell: Shell,
    /// Its id, as given in the address.
    pub(crate) id: String,
}

/// Sign in, or make an account.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct SignIn {
    /// The frame.
    pub(crate) shell: Shell,
}

/// Something is not there, or not now.
#[derive(Debug, Template)]
#[template(path = "trouble.html")]
pub(crate) struct Trouble {
    /// The frame.
    pub(crate) shell: Shell,
    /// What a customer should know.
    pub(crate) heading: &'static str,
    /// What to do.
    pub(crate) advice: &'static str,
    /// Where the button leads, and its label.
    pub(crate) way_out: (String, &'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_title_one_main_heading_and_no_inline_script_or_style() {
        let shell = || Shell::new("/static/v", "Here");
        let pages = [
            Basket { shell: shell() }.render().unwrap(),
            Checkout::new(shell()).render().unwrap(),
            Orders { shell: shell() }.render().unwrap(),
            OrderPage { shell: shell(), id: "0192".to_owned() }.render().unwrap(),
            SignIn { shell: shell() }.render().unwrap(),
            Trouble { shell: shell(), heading: "H", advice: "A", way_out: ("/".to_owned(), "Go") }.render().unwrap(),
        ];
        for page in pages {
            assert!(page.contains("<title>Here"), "{page}");
            assert_eq!(page.matches("<h1").count(), 1, "{page}");
            assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="), "{page}");
            assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"").count());
        }
    }

    #[test]
    fn every_test_card_of_the_sandbox_can_be_chosen() {
        let page = Checkout::new(Shell::new("/static/v", "Checkout")).render().unwrap();
        let tokens = "tok_ok tok_declined tok_slow tok_charge_then_timeout tok_charge_then_500 tok_500_no_charge";
        for token in tokens.split(' ').chain(["tok_429", "tok_late"]) {
            assert!(page.contains(&format!("value=\"{token}\"")), "{token}");
        }
    }

    #[test]
    fn an_orders_id_from_the_address_is_escaped() {
        let page = OrderPage { shell: Shell::new("/static/v", "Order"), id: "\"><script>".to_owned() };
        assert!(!page.render().unwrap().contains("\"><script>"));
    }
}
