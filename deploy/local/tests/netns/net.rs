//! Two network namespaces on one bridge, and the rules that part them. Removed with the value.

use std::process::Command;

/// Names carry the test's process id, so that two runs do not meet.
pub(crate) struct Net(u32);

fn run(command: &str) -> Result<String, String> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.map_err(|error| format!("{command}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

impl Net {
    /// The error says what this machine lacks.
    pub(crate) fn new() -> Result<Self, String> {
        for tool in ["ip", "iptables"] {
            run(&format!("{tool} -V")).map_err(|error| format!("{error} (apt-get install iproute2 iptables)"))?;
        }
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces need root".to_owned());
        }
        let net = Self(std::process::id());
        net.build().map_err(|error| format!("this machine allows no network namespaces: {error}")).map(|()| net)
    }

    fn build(&self) -> Result<(), String> {
        let bridge = self.bridge();
        run(&format!("ip link add {bridge} type bridge"))?;
        run(&format!("ip addr add {}/24 dev {bridge}", self.host()))?;
        run(&format!("ip link set {bridge} up"))?;
        // Where a container engine runs, packets that cross a bridge are dropped unless somebody says otherwise.
        run(&self.crossing("-I"))?;
        for number in [0, 1] {
            let (namespace, outside) = (self.namespace(number), self.link(number));
            run(&format!("ip netns add {namespace}"))?;
            run(&format!("ip link add {outside} type veth peer name eth0 netns {namespace}"))?;
            run(&format!("ip link set {outside} master {bridge} up"))?;
            run(&format!("ip -n {namespace} addr add {}/24 dev eth0", self.address(number)))?;
            run(&format!("ip -n {namespace} link set eth0 up"))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
            // A counter without effect: does this kernel have packet filters at all?
            run(&format!("ip netns exec {namespace} iptables -A OUTPUT -o lo -j ACCEPT"))?;
        }
        Ok(())
    }

    /// From now on neither hears the other; the host hears both.
    pub(crate) fn part(&self) {
        for number in [0, 1] {
            run(&self.rule("-A", number)).unwrap();
        }
    }

    /// Packets pass again. The rules stay as counters, behind one that accepts.
    pub(crate) fn join(&self) {
        for number in [0, 1] {
            run(&self.rule("-I", number).replace("DROP", "ACCEPT")).unwrap();
        }
    }

    /// Packets that were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        let count = |number| {
            let listed = run(&format!("ip netns exec {} iptables -nvxL INPUT", self.namespace(number))).unwrap();
            let dropping = listed.lines().filter(|line| line.contains("DROP") && !line.starts_with("Chain"));
            dropping.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum::<u64>()
        };
        count(0) + count(1)
    }

    fn rule(&self, how: &str, number: usize) -> String {
        let other = self.address(1 - number);
        format!("ip netns exec {} iptables {how} INPUT -s {other} -j DROP", self.namespace(number))
    }

    pub(crate) fn namespace(&self, number: usize) -> String {
        format!("trestle-{}-{number}", self.0)
    }

    /// In a range for benchmarks between networks (RFC 2544), which nobody routes.
    pub(crate) fn address(&self, number: usize) -> String {
        format!("198.18.{}.{}", self.0 % 250, number + 1)
    }

    fn host(&self) -> String {
        format!("198.18.{}.254", self.0 % 250)
    }

    fn bridge(&self) -> String {
        format!("trb{}", self.0)
    }

    fn crossing(&self, how: &str) -> String {
        format!("iptables {how} FORWARD -i {0} -o {0} -j ACCEPT", self.bridge())
    }

    fn link(&self, number: usize) -> String {
        format!("trv{}-{number}", self.0)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for number in [0, 1] {
            let _ = run(&format!("ip link del {}", self.link(number)));
            let _ = run(&format!("ip netns del {}", self.namespace(number)));
        }
        let _ = run(&self.crossing("-D"));
        let _ = run(&format!("ip link del {}", self.bridge()));
    }
}
