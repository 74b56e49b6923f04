//! A book and a train set, bought in headless Chromium as a customer would: search, click, fill in, try again safely.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use thirtyfour::{By, ChromeCapabilities, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver};

use crate::cluster::Shop;

/// One browser with a profile of its own.
struct Browser {
    driver: Child,
    _profile: TempDir,
    page: WebDriver,
}

impl Browser {
    async fn open(shop: &Shop, width: u32, height: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver: {error}; apt-get install chromium chromium-driver"));
        let server = format!("http://127.0.0.1:{port}");
        shop.until("the browser's driver answers", async || {
            shop.http.get(format!("{server}/status")).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        let profile = tempfile::tempdir().unwrap();
        let page = WebDriver::new(&server, capabilities(&profile, width, height)).await.unwrap();
        Self { driver, _profile: profile, page }
    }

    async fn goto(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    async fn click(&self, shop: &Shop, selector: &str) {
        shop.until(&format!("{selector} can be clicked"), async || match self.page.find(By::Css(selector)).await {
            Ok(element) => element.is_displayed().await.unwrap_or(false) && element.click().await.is_ok(),
            Err(_) => false,
        })
        .await;
    }

    async fn type_into(&self, selector: &str, text: &str) {
        self.page.find(By::Css(selector)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Waits until the page shows a text.
    async fn sees(&self, shop: &Shop, text: &str) {
        shop.until(&format!("the page shows \"{text}\""), async || self.text().await.contains(text)).await;
    }

    async fn text(&self) -> String {
        match self.page.find(By::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// How far the page can be scrolled sideways; anything but 0 is a broken phone layout.
    async fn sideways(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;";
        self.page.execute(script, Vec::new()).await.unwrap().convert().unwrap()
    }

    /// What the browser itself complained about: scripts, styles and pictures that did not load or were refused.
    async fn complaints(&self) -> Vec<String> {
        let script = "return window.performance.getEntriesByType('resource')\
             .filter((entry) => entry.responseStatus >= 400 && !entry.name.includes('/api/session')).map((entry) => entry.name);";
        self.page.execute(script, Vec::new()).await.unwrap().convert().unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn capabilities(profile: &TempDir, width: u32, height: u32) -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    let size = format!("--window-size={width},{height}");
    let profile = format!("--user-data-dir={}", profile.path().display());
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &size,
        &profile,
    ] {
        capabilities.add_arg(argument).unwrap();
    }
    capabilities
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_and_a_train_set_are_bought() {
    let shop = Shop::start().await;
    let browser = Browser::open(&shop, 1280, 900).await;
    browser.goto(&shop.url(1, "/")).await;
    browser.type_into("#q", "pride prejudice\n").await;
    browser.click(&shop, "a[href='/products/pride-and-prejudice']").await;
    browser.sees(&shop, "Jane Austen").await;
    browser.click(&shop, "form.buy [data-step='1']").await;
    browser.click(&shop, "form.buy button[type='submit']").await;
    browser.sees(&shop, "Cart\n2").await;
    browser.goto(&shop.url(2, "/products/train-set-highland-express")).await;
    browser.click(&shop, "form.buy button[type='submit']").await;
    browser.sees(&shop, "Cart\n3").await;

    browser.goto(&shop.url(2, "/cart")).await;
    browser.sees(&shop, "Pride and Prejudice").await;
    browser.sees(&shop, "Highland Express").await;
    browser.click(&shop, "[data-checkout]").await;
    browser.click(&shop, "#token option[value='tok_charge_then_timeout']").await;
    browser.click(&shop, "[data-pay]").await;
    shop.until("the browser is at the order", async || {
        browser.page.current_url().await.is_ok_and(|url| url.path().starts_with("/orders/"))
    })
    .await;
    browser.sees(&shop, "Highland Express").await;
    let charges = shop.ledger().await;
    assert_eq!(charges.len(), 1, "a lost reply and a patient page are one charge");
    browser.goto(&shop.url(1, "/orders")).await;
    shop.until("the order is listed as paid", async || {
        browser.page.find_all(By::Css("a[href^='/orders/']")).await.is_ok_and(|orders| !orders.is_empty())
    })
    .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone() {
    let shop = Shop::start().await;
    let browser = Browser::open(&shop, 390, 844).await;
    for path in
        ["/", "/?category=Train+sets", "/products/emma", "/cart", "/checkout", "/orders", "/login", "/no-such-page"]
    {
        browser.goto(&shop.url(1, path)).await;
        assert_eq!(browser.sideways().await, 0, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_page_works_without_network() {
    let shop = Shop::start().await;
    let browser = Browser::open(&shop, 1280, 900).await;
    browser.goto(&shop.url(1, "/docs")).await;
    browser.sees(&shop, "/api/checkout").await;
}
