#include "tests/e2e/harness/redis.h"

#include <unistd.h>

namespace e2e {

namespace {

std::string command_text(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return text;
}

// Arrays in arrays come flat.
void read_reply(Wire& wire, std::vector<std::string>& to) {
  std::string line = wire.read_until("\r\n");
  line.resize(line.size() - 2);
  const std::string rest = line.substr(1);
  switch (line[0]) {
    case '+':
    case ':':
      to.push_back(rest);
      return;
    case '-':
      to.push_back(line);
      return;
    case '$':
      if (rest == "-1") return to.emplace_back("nil"), void();
      to.push_back(wire.read_exactly(std::stoull(rest)));
      wire.read_exactly(2);
      return;
    case '*':
      for (long left = std::stol(rest); left > 0; --left) read_reply(wire, to);
      return;
    default:
      throw Failure("not a reply of Redis: " + printable(line));
  }
}

}  // namespace

Redis::Redis(std::vector<std::string> words) : words_(std::move(words)) { start(); }

// The port is free when it is chosen; whoever takes it meanwhile makes us choose again.
void Redis::start() {
  for (int tries = 0; tries < 5; ++tries) {
    if (port_ == 0) port_ = listen_on_loopback().port;
    launch();
    if (eventually([this] { return is_open() || process_->poll_exit().has_value(); }) &&
        !process_->poll_exit()) {
      return;
    }
    port_ = 0;
  }
  throw Failure("redis-server does not start: " + read_file(dir_.path("log")));
}

void Redis::launch() {
  std::vector<std::string> words{
      "redis-server", "--port",    std::to_string(port_), "--bind", "127.0.0.1", "--unixsocket",
      socket(),       "--dir",     dir_.path(""),         "--save", "",          "--appendonly",
      "no",           "--logfile", dir_.path("log")};
  words.insert(words.end(), words_.begin(), words_.end());
  unlink(socket().c_str());
  process_ = std::make_unique<Process>(words, dir_.path("out"), dir_.path("err"));
}

bool Redis::is_open() {
  try {
    return ask({"PING"}) == "PONG";
  } catch (const Failure&) {
    return false;
  }
}

std::string Redis::tcp_url(const std::string& user) {
  return "redis://" + (user.empty() ? "" : user + "@") + "127.0.0.1:" + std::to_string(port_);
}

void Redis::kill() {
  process_->signal(SIGKILL);
  if (!process_->wait(kPatience)) throw Failure("redis-server outlives SIGKILL");
}

std::vector<std::string> Redis::list(const std::vector<std::string>& words) {
  Wire wire = Wire::to_unix(socket());
  wire.send(command_text(words));
  std::vector<std::string> reply;
  read_reply(wire, reply);
  return reply;
}

std::string Redis::ask(const std::vector<std::string>& words) {
  const std::vector<std::string> reply = list(words);
  return reply.empty() ? "" : reply[0];
}

int64_t Redis::number(const std::vector<std::string>& words) { return std::stoll(ask(words)); }

std::vector<std::string> Redis::entries() {
  std::vector<std::string> found;
  for (const std::string& key : keys("*v1:{*")) {
    if (key.ends_with("}")) found.push_back(key);
  }
  return found;
}

}  // namespace e2e
