#include "tests/e2e/harness/postgres.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace e2e {

namespace {

constexpr milliseconds kStart = kPatience * 3;

// Debian has them beside each other, by version, and in nobody's PATH.
std::string programs_folder() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const std::string bin = entry.path().string() + "/bin";
    if (access((bin + "/initdb").c_str(), X_OK) == 0) found.push_back(bin);
  }
  if (found.empty()) throw Failure("no PostgreSQL in /usr/lib/postgresql: make deps DEPS=test");
  return *std::max_element(found.begin(), found.end());
}

uint16_t free_port() {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), raw, size) != 0 || getsockname(fd.get(), raw, &size) != 0) {
    throw Failure("no free port");
  }
  return ntohs(address.sin_port);
}

// Whoever adopts an orphan may leave it a zombie for a while.
bool is_alive(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t end = stat.rfind(") ");
  return end != std::string::npos && stat[end + 2] != 'Z';
}

}  // namespace

Postgres::Postgres(std::vector<std::string> settings)
    : settings_(std::move(settings)), programs_(programs_folder()) {
  make_cluster();
  start();
}

Postgres::~Postgres() {
  if (process_ != nullptr && !process_->poll_exit()) {
    thaw();
    process_->signal(SIGQUIT);  // at once, without a checkpoint
    if (!process_->wait(kStart)) signal_all(SIGKILL);
  }
  remove_shared_memory();
}

// A killed server leaves a small segment, which it would take up again when it is started.
void Postgres::remove_shared_memory() const {
  std::istringstream lines(read_file(dir_.path("data/postmaster.pid")));
  std::string line;
  for (int i = 0; i < 7; ++i) std::getline(lines, line);
  std::istringstream words(line);
  long key = 0;
  int id = -1;
  if (words >> key >> id) shmctl(id, IPC_RMID, nullptr);
}

// setpriv sets the signal of the parent's death anew, which the change of the user has cleared.
std::vector<std::string> Postgres::as_user(std::vector<std::string> words) const {
  words[0] = programs_ + "/" + words[0];
  if (geteuid() != 0) return words;
  const std::vector<std::string> before{"setpriv",        "--reuid=nobody",   "--regid=nogroup",
                                        "--clear-groups", "--pdeathsig=KILL", "--"};
  words.insert(words.begin(), before.begin(), before.end());
  return words;
}

void Postgres::make_cluster() {
  write_file(dir_.path("password"), kPassword);
  if (geteuid() == 0) {
    const passwd* nobody = getpwnam("nobody");
    if (nobody == nullptr) throw Failure("there is no user nobody");
    for (const char* name : {"", "password"}) {
      if (chown(dir_.path(name).c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
        throw Failure("chown failed");
      }
    }
  }
  const Finished made =
      run(as_user({"initdb", "--pgdata=" + dir_.path("data"), "--username=" + std::string(kUser),
                   "--pwfile=" + dir_.path("password"), "--auth=scram-sha-256", "--encoding=UTF8",
                   "--locale=C.UTF-8", "--no-sync", "--no-instructions"}),
          kPatience * 10);
  if (made.exit_code != 0) throw Failure("initdb: " + made.out + made.err);
}

// The port is free when it is chosen; whoever takes it meanwhile makes us choose again, but only
// the first time.
void Postgres::start() {
  const bool is_first = port_ == 0;
  for (int tries = 0; tries < 5; ++tries) {
    if (is_first) port_ = free_port();
    launch();
    if (eventually([this] { return is_open() || process_->poll_exit().has_value(); }, kStart) &&
        !process_->poll_exit()) {
      return;
    }
  }
  throw Failure("postgres does not start: " + log());
}

void Postgres::launch() {
  std::vector<std::string> words{"postgres",    "-D", dir_.path("data"),    "-k",
                                 dir_.path(""), "-p", std::to_string(port_)};
  std::vector<std::string> settings{"listen_addresses=127.0.0.1", "shared_buffers=32MB",
                                    "dynamic_shared_memory_type=mmap", "fsync=on"};
  settings.insert(settings.end(), settings_.begin(), settings_.end());
  for (const std::string& setting : settings) {
    words.emplace_back("-c");
    words.push_back(setting);
  }
  process_ = std::make_unique<Process>(as_user(words), dir_.path("log"), dir_.path("log"));
}

bool Postgres::is_open() const {
  return run({programs_ + "/psql", "-XAtq", "-c", "SELECT 1", url("postgres")}).exit_code == 0;
}

std::string Postgres::make_database() {
  const std::string name = "shop_" + std::to_string(++databases_);
  sql("postgres", "CREATE DATABASE " + name);
  return name;
}

std::string Postgres::url(const std::string& database, const std::string& more) const {
  return "postgres://" + std::string(kUser) + ":" + kPasswordInUrl + "@/" + database +
         "?host=" + dir_.path("") + "&port=" + std::to_string(port_) + more;
}

std::string Postgres::tcp_url(const std::string& database, const std::string& more) const {
  return "postgres://" + std::string(kUser) + ":" + kPasswordInUrl +
         "@127.0.0.1:" + std::to_string(port_) + "/" + database +
         (more.empty() ? "" : "?" + more.substr(1));
}

std::string Postgres::sql(const std::string& database, const std::string& statement) {
  const Finished done =
      run({programs_ + "/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, url(database)},
          kStart);
  if (done.exit_code != 0) throw Failure("psql: " + statement + ": " + done.err);
  return done.out.substr(0, done.out.find_last_not_of('\n') + 1);
}

std::vector<pid_t> Postgres::processes() const {
  const std::string pid = std::to_string(process_->pid());
  std::vector<pid_t> all{process_->pid()};
  std::istringstream children(read_file("/proc/" + pid + "/task/" + pid + "/children"));
  for (pid_t child = 0; children >> child;) all.push_back(child);
  return all;
}

// The postmaster first: it shall neither start others nor notice that one is gone.
void Postgres::signal_all(int number) const {
  for (const pid_t pid : processes()) ::kill(pid, number);
}

void Postgres::freeze() {
  process_->signal(SIGSTOP);
  signal_all(SIGSTOP);
}

void Postgres::thaw() { signal_all(SIGCONT); }

void Postgres::kill() {
  process_->signal(SIGSTOP);
  const std::vector<pid_t> all = processes();
  for (const pid_t pid : all) ::kill(pid, SIGKILL);
  if (!process_->wait(kPatience)) throw Failure("postgres outlives SIGKILL");
  for (const pid_t pid : all) {
    if (!eventually([pid] { return !is_alive(pid); })) throw Failure("a process outlives SIGKILL");
  }
}

void Postgres::stop() {
  process_->signal(SIGINT);
  if (!process_->wait(kStart)) throw Failure("postgres does not stop: " + log());
}

}  // namespace e2e
