#include "tests/e2e/harness/rabbitmq.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace e2e {

namespace {

constexpr milliseconds kStart = kPatience * 10;

// Debian's own wrapper wants root; what it calls stands in a folder by version.
std::string programs_folder() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/rabbitmq/lib", ignored)) {
    const std::string programs = entry.path().string() + "/sbin";
    if (access((programs + "/rabbitmq-server").c_str(), X_OK) == 0) found.push_back(programs);
  }
  if (found.empty()) throw Failure("no RabbitMQ in /usr/lib/rabbitmq: make deps DEPS=test");
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

// With its children, and theirs.
std::vector<pid_t> family_of(pid_t pid) {
  std::vector<pid_t> all{pid};
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string each = std::to_string(all[i]);
    std::istringstream children(read_file("/proc/" + each + "/task/" + each + "/children"));
    for (pid_t child = 0; children >> child;) all.push_back(child);
  }
  return all;
}

std::string binary(const std::string& text) { return "<<\"" + text + "\">>"; }

}  // namespace

RabbitMq::RabbitMq() : programs_(programs_folder()) { start(); }

RabbitMq::~RabbitMq() {
  if (process_ == nullptr || process_->poll_exit()) return;
  freeze();  // nothing has to be settled any more
  try {
    kill();
  } catch (const Failure&) {  // ~Process tries once more
  }
}

// setpriv sets the signal of the parent's death anew, which the change of the user has cleared.
std::vector<std::string> RabbitMq::as_user(std::vector<std::string> words) const {
  if (geteuid() != 0) return words;
  const std::vector<std::string> before{"setpriv",        "--reuid=nobody",   "--regid=nogroup",
                                        "--clear-groups", "--pdeathsig=KILL", "--"};
  words.insert(words.begin(), before.begin(), before.end());
  return words;
}

// With RUNNING_UNDER_SYSTEMD the script becomes the broker, instead of being its parent.
Process::Environment RabbitMq::environment() const {
  return {{"HOME", dir_.path("")},
          {"LC_ALL", "C.UTF-8"},
          {"RUNNING_UNDER_SYSTEMD", "true"},
          {"ERL_EPMD_ADDRESS", "127.0.0.1"},
          {"ERL_EPMD_PORT", std::to_string(directory_port_)},
          {"ERL_CRASH_DUMP", "/dev/null"},
          {"RABBITMQ_NODENAME", "sluice@localhost"},
          {"RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"},
          {"RABBITMQ_NODE_PORT", std::to_string(port_)},
          {"RABBITMQ_DIST_PORT", std::to_string(node_port_)},
          {"RABBITMQ_CONFIG_FILE", dir_.path("rabbitmq")},
          {"RABBITMQ_CONF_ENV_FILE", dir_.path("none")},
          {"RABBITMQ_ENABLED_PLUGINS_FILE", dir_.path("plugins")},
          {"RABBITMQ_MNESIA_BASE", dir_.path("data")},
          {"RABBITMQ_LOG_BASE", dir_.path("logs")},
          {"RABBITMQ_CTL_ERL_ARGS", "-start_epmd false"},
          {"RABBITMQ_SERVER_START_ARGS",
           "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false "
           "-kernel inet_dist_use_interface {127,0,0,1}"}};
}

// The folder and the cookie, by which the nodes know each other, have to be the broker's own.
void RabbitMq::write_settings() {
  write_file(dir_.path("rabbitmq.conf"),
             "default_user = " + std::string(kUser) + "\ndefault_pass = " + kPassword +
                 "\nloopback_users = none\nlog.console = true\nlog.console.level = warning\n"
                 "log.file = false\ndisk_free_limit.absolute = 1MB\n"
                 "raft.wal_max_size_bytes = 16777216\n");
  write_file(dir_.path("plugins"), "[].\n");
  write_file(dir_.path(".erlang.cookie"), "sluice" + std::to_string(getpid()));
  chmod(dir_.path(".erlang.cookie").c_str(), 0400);
  if (geteuid() != 0) return;
  const passwd* nobody = getpwnam("nobody");
  if (nobody == nullptr) throw Failure("there is no user nobody");
  for (const char* name : {"", "rabbitmq.conf", "plugins", ".erlang.cookie"}) {
    if (chown(dir_.path(name).c_str(), nobody->pw_uid, nobody->pw_gid) != 0) {
      throw Failure("chown failed");
    }
  }
}

// The ports are free when they are chosen; whoever takes one meanwhile makes us choose again, but
// only the first time.
void RabbitMq::start() {
  const bool is_first = port_ == 0;
  if (is_first) write_settings();
  for (int tries = 0; tries < 3; ++tries) {
    if (is_first) {
      port_ = free_port();
      node_port_ = free_port();
      directory_port_ = free_port();
      directory_ = std::make_unique<Process>(
          as_user({"epmd", "-address", "127.0.0.1", "-port", std::to_string(directory_port_)}),
          dir_.path("epmd.log"), dir_.path("epmd.log"));
    }
    const size_t before = starts();
    launch();
    const auto is_over = [&] { return starts() > before || process_->poll_exit().has_value(); };
    if (eventually(is_over, kStart) && !process_->poll_exit()) return;
    if (!is_first) break;
  }
  throw Failure("rabbitmq-server does not start: " + log());
}

void RabbitMq::launch() {
  is_frozen_ = is_settled_ = false;
  process_ = std::make_unique<Process>(as_user({programs_ + "/rabbitmq-server"}), dir_.path("log"),
                                       dir_.path("log"), environment());
}

// How often it has said that it is up.
size_t RabbitMq::starts() const {
  const std::string text = log();
  size_t count = 0;
  for (size_t at = text.find("completed with"); at != std::string::npos;
       at = text.find("completed with", at + 1)) {
    ++count;
  }
  return count;
}

std::string RabbitMq::ctl(const std::vector<std::string>& words) const {
  std::vector<std::string> all{programs_ + "/rabbitmqctl", "-q"};
  all.insert(all.end(), words.begin(), words.end());
  const Finished done = run(as_user(all), kStart, environment());
  if (done.exit_code != 0) throw Failure("rabbitmqctl " + words[0] + ": " + done.out + done.err);
  return done.out.substr(0, done.out.find_last_not_of('\n') + 1);
}

std::string RabbitMq::make_vhost() {
  const std::string name = "v/" + std::to_string(++vhosts_);
  const std::string all = binary(".*");
  is_settled_ = false;
  eval("rabbit_vhost:add(" + binary(name) + ", " + binary("test") +
       "), rabbit_auth_backend_internal:set_permissions(" + binary(kUser) + ", " + binary(name) +
       ", " + all + ", " + all + ", " + all + ", " + binary("test") + ").");
  return name;
}

std::string RabbitMq::url(const std::string& vhost, const std::string& options) const {
  return "amqp://" + std::string(kUser) + ":" + kPasswordInUrl +
         "@127.0.0.1:" + std::to_string(port_) + "/" + "v%2F" + vhost.substr(2) + "?" + options;
}

void RabbitMq::set_alarm(bool is_on) {
  ctl({"set_vm_memory_high_watermark", is_on ? "0.00001" : "0.4"});
}

void RabbitMq::delete_queue(const std::string& vhost, const std::string& queue) {
  ctl({"delete_queue", "-p", vhost, queue});
}

// What rabbitmqctl lists is as of some seconds ago.
int64_t RabbitMq::depth(const std::string& vhost, const std::string& queue) {
  return std::stoll(eval("{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(" + binary(vhost) +
                         ", queue, " + binary(queue) +
                         ")), {ok, {_, Total}, _} = ra:local_query(amqqueue:get_pid(Q), fun "
                         "rabbit_fifo:query_messages_total/1), Total."));
}

void RabbitMq::publish(const std::string& vhost, const std::string& exchange,
                       const std::string& key, const std::string& body) {
  std::string bytes;
  for (const char c : body) {
    bytes += (bytes.empty() ? "" : ",") + std::to_string(static_cast<unsigned char>(c));
  }
  const std::string name =
      "rabbit_misc:r(" + binary(vhost) + ", exchange, " + binary(exchange) + ")";
  const std::string got =
      eval("rabbit_basic:publish(" + name + ", " + binary(key) + ", [], <<" + bytes + ">>).");
  if (got.find("ok") == std::string::npos) throw Failure("not published: " + got);
}

void RabbitMq::freeze() {
  process_->signal(SIGSTOP);
  is_frozen_ = true;
}

void RabbitMq::thaw() {
  process_->signal(SIGCONT);
  is_frozen_ = false;
}

void RabbitMq::settle() {
  eval("[dets:sync(Table) || Table <- dets:all()].");
  is_settled_ = true;
}

// Its helpers end when they see that it is gone.
void RabbitMq::kill() {
  if (!is_frozen_ && !is_settled_) settle();
  const std::vector<pid_t> all = family_of(process_->pid());
  process_->signal(SIGKILL);
  if (!process_->wait(kPatience)) throw Failure("RabbitMQ outlives SIGKILL");
  for (const pid_t pid : all) {
    if (!eventually([pid] { return !is_alive(pid); })) throw Failure("a helper of RabbitMQ stays");
  }
}

void RabbitMq::stop() {
  process_->signal(SIGTERM);
  if (!process_->wait(kStart)) throw Failure("RabbitMQ does not stop: " + log());
}

}  // namespace e2e
