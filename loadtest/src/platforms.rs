//! The process of the simulated push services, as the generator holds it.

use std::io::{self, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::addresses::{KEY, TEAM, topic};
use crate::arrival::Arrival;
use crate::error::LoadError;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::wire::{self, Frame, Order, Setup, Tally, Word};

/// How long the simulators may take to answer; they register devices before they do.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// The simulators' process. Dropping it ends it.
pub(crate) struct Platforms {
    process: Child,
    orders: ChildStdin,
    /// One word for each order that is answered.
    words: UnboundedReceiver<Word>,
    setup: Setup,
}

impl Platforms {
    /// Starts what `scenario` needs, listening on `ip`; every push that is accepted is handed to `arrive`, on a thread
    /// of its own.
    ///
    /// # Errors
    /// [`LoadError::Platform`].
    pub(crate) async fn start(
        scenario: &Scenario,
        ip: IpAddr,
        arrive: impl Fn(&Arrival) + Send + 'static,
    ) -> Result<Self, LoadError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("simulate").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let (Some(mut orders), Some(told)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(LoadError::platform("it has no standard input and output"));
        };
        let (hear, mut words) = unbounded_channel();
        std::thread::spawn(move || listen(told, &hear, arrive));
        order(&mut orders, &Order::Start(Box::new(scenario.clone()), ip))?;
        match answer(&mut words).await? {
            Word::Ready(setup) => Ok(Self { process, orders, words, setup: *setup }),
            other => Err(LoadError::platform(format!("{other:?}"))),
        }
    }

    /// The load begins now.
    ///
    /// # Errors
    /// [`LoadError::Io`], if the process is gone.
    pub(crate) fn begin(&mut self) -> Result<(), LoadError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.order(&Order::Begin(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Gives an order that is not answered.
    ///
    /// # Errors
    /// [`LoadError::Io`], if the process is gone.
    pub(crate) fn order(&mut self, given: &Order) -> Result<(), LoadError> {
        Ok(order(&mut self.orders, given)?)
    }

    /// What they counted. Whatever arrived before was handed on before.
    ///
    /// # Errors
    /// [`LoadError::Platform`].
    pub(crate) async fn tally(&mut self) -> Result<Tally, LoadError> {
        self.order(&Order::Tell)?;
        match answer(&mut self.words).await? {
            Word::Tally(tally) => Ok(*tally),
            other => Err(LoadError::platform(format!("{other:?}"))),
        }
    }

    /// What it takes.
    pub(crate) fn process(&self) -> Process {
        Process::of(self.process.id())
    }

    /// Where Apple's listens.
    pub(crate) fn apns_address(&self) -> &str {
        &self.setup.apns.address
    }

    /// What an engine's configuration says of `apps` and their routes; the secrets it names are
    /// written into `directory`.
    ///
    /// # Errors
    /// [`LoadError::Io`].
    pub(crate) fn configure(&self, apps: &[&str], directory: &Path) -> Result<String, LoadError> {
        let path = |name: &str| directory.join(name).display().to_string();
        let apns = &self.setup.apns;
        write_secret(&directory.join("key.p8"), &self.setup.key_pem)?;
        std::fs::write(directory.join("apns-ca.pem"), &apns.ca_pem)?;
        let mut config = String::new();
        // The first is the app under load; it comes last, so that Google's route is its.
        for app in apps.iter().rev() {
            config += &format!(
                "[[apps]]\nid = \"{app}\"\n[[apps.apns]]\ntopic = \"{}\"\n\
                 team_id = \"{TEAM}\"\nkey_id = \"{KEY}\"\nkey_file = {:?}\nca_file = {:?}\n\
                 address = \"{}\"\n",
                topic(app),
                path("key.p8"),
                path("apns-ca.pem"),
                apns.address,
            );
        }
        if let Some((google, account)) = &self.setup.google {
            write_secret(&directory.join("account.json"), account)?;
            std::fs::write(directory.join("fcm-ca.pem"), &google.ca_pem)?;
            let there =
                format!("ca_file = {:?}, address = \"{}\"", path("fcm-ca.pem"), google.address);
            config += &format!(
                "[[apps.fcm]]\naccount_file = {:?}\nca_file = {:?}\naddress = \"{}\"\n\
                 sign_in = {{ {there} }}\n",
                path("account.json"),
                path("fcm-ca.pem"),
                google.address,
            );
        }
        Ok(config)
    }
}

impl Drop for Platforms {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Hands on what the simulators tell, until they end.
fn listen(told: ChildStdout, words: &UnboundedSender<Word>, arrive: impl Fn(&Arrival)) {
    let mut told = BufReader::with_capacity(1 << 18, told);
    loop {
        match wire::read(&mut told) {
            Ok(Frame::Arrivals(arrivals)) => arrivals.iter().for_each(&arrive),
            Ok(Frame::Word(word)) => {
                // Who does not wait for it any more does not miss it.
                let _unheard = words.send(word);
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Err(error) => {
                let _unheard = words.send(Word::Failed(error.to_string()));
                return;
            }
        }
    }
}

fn order(orders: &mut ChildStdin, order: &Order) -> io::Result<()> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    orders.write_all(&line)?;
    orders.flush()
}

async fn answer(words: &mut UnboundedReceiver<Word>) -> Result<Word, LoadError> {
    match timeout(ANSWERS_WITHIN, words.recv()).await {
        Ok(Some(word)) => Ok(word),
        Ok(None) => Err(LoadError::platform("its process has ended")),
        Err(_) => Err(LoadError::platform(format!("no answer within {ANSWERS_WITHIN:?}"))),
    }
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
