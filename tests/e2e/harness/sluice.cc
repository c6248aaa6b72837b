#include "tests/e2e/harness/sluice.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace e2e {

namespace {

std::string indentation(const std::string& yaml) {
  const size_t first = yaml.find_first_not_of(" \n");
  if (first == std::string::npos) return "";
  const size_t line = yaml.rfind('\n', first);
  return std::string(first - (line == std::string::npos ? 0 : line + 1), ' ');
}

bool has_key(const std::string& yaml, const std::string& indent, const std::string& key) {
  return ("\n" + yaml).find("\n" + indent + key + ":") != std::string::npos;
}

uint64_t status_kib(pid_t pid, const std::string& key) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::stoull(line.substr(key.size() + 1));
  }
  throw Failure("no " + key + " of the process");
}

}  // namespace

// Start -------------------------------------------------------------------------------------------

Sluice::Sluice(const std::string& yaml, const Values& values,
               const std::vector<std::string>& launcher) {
  rewrite(yaml, values);
  std::vector<std::string> arguments = launcher;
  for (const std::string& each :
       {program("SLUICE"), std::string("serve"), std::string("-c"), dir_.path("sluice.yaml")}) {
    arguments.push_back(each);
  }
  process_ = std::make_unique<Process>(arguments, dir_.path("out"), dir_.path("err"),
                                       Process::Environment{{"NOTIFY_SOCKET", ""}});
  wait_until_ready();
}

std::string Sluice::complete(std::string yaml, const Values& values) const {
  for (const auto& [name, value] : values) {
    const std::string key = "@" + name;
    for (size_t at = 0; (at = yaml.find(key, at)) != std::string::npos;) {
      const size_t end = at + key.size();
      const bool whole = end == yaml.size() || (!std::isalnum(yaml[end]) && yaml[end] != '_');
      if (whole) yaml.replace(at, key.size(), value);
      at += whole ? value.size() : key.size();
    }
  }
  const std::string indent = indentation(yaml);
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!has_key(yaml, indent, key)) yaml += "\n" + indent + key + ": " + value + "\n";
  };
  add("listeners", R"([{name: web, bind: "127.0.0.1:0"}])");
  add("workers", "2");
  add("drain_timeout", "500ms");
  add("admin", R"({bind: "unix:)" + dir_.path("admin.sock") + R"("})");
  add("access_log", R"({path: ")" + dir_.path("access.log") + R"(", format: json})");
  return yaml;
}

void Sluice::rewrite(const std::string& yaml, const Values& values) {
  write_file(dir_.path("sluice.yaml.new"), complete(yaml, values));
  std::filesystem::rename(dir_.path("sluice.yaml.new"), dir_.path("sluice.yaml"));
}

void Sluice::wait_until_ready() {
  const Deadline deadline;
  for (;;) {
    if (const auto code = process_->poll_exit()) {
      throw Failure("sluice ended with " + std::to_string(*code) + ": " + err() + out());
    }
    try {
      if (admin("GET", "/healthz").status == 200 && port() != 0) return;
    } catch (const Failure&) {
      if (deadline.is_over()) throw;
    }
    if (deadline.is_over()) throw Failure("sluice is not up: " + err());
    poll(nullptr, 0, 5);
  }
}

// Admin -------------------------------------------------------------------------------------------

Message Sluice::admin(const std::string& method, const std::string& path, const std::string& body) {
  Wire wire = Wire::to_unix(dir_.path("admin.sock"));
  wire.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
            "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  return wire.read_response(method);
}

Json Sluice::status() {
  const Message answer = admin("GET", "/api/v1/status");
  return Json::parse(answer.body);
}

uint16_t Sluice::port(const std::string& listener) {
  const Json all = status();
  for (const Json& each : all.at("listeners")) {
    if (each.at("name") != listener) continue;
    const std::string bind = each.at("bind");
    return static_cast<uint16_t>(std::stoi(bind.substr(bind.rfind(':') + 1)));
  }
  throw Failure("no listener " + listener + ": " + all.dump());
}

std::string Sluice::url(const std::string& path) {
  return "http://127.0.0.1:" + std::to_string(port()) + path;
}

Json Sluice::endpoint(const std::string& pool, const std::string& name) {
  const Json all = status();
  for (const Json& each : all.at("pools")) {
    if (each.at("name") != pool) continue;
    for (const Json& endpoint : each.at("endpoints")) {
      if (endpoint.at("name") == name) return endpoint;
    }
  }
  throw Failure("no endpoint " + pool + "/" + name);
}

std::string Sluice::metrics() { return admin("GET", "/metrics").body; }

double Sluice::value(const std::string& family, const std::string& labels) {
  std::istringstream lines(metrics());
  double sum = 0;
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(family)) continue;
    const char next = line.size() > family.size() ? line[family.size()] : '\0';
    const size_t space = line.rfind(' ');
    if ((next != ' ' && next != '{') || line.substr(0, space).find(labels) == std::string::npos) {
      continue;
    }
    sum += std::stod(line.substr(space + 1));
    found = true;
  }
  return found ? sum : 0;
}

bool Sluice::reaches(const std::string& family, const std::string& labels, double expected) {
  const bool did = eventually([&] { return value(family, labels) == expected; }, seconds(2));
  if (!did) MESSAGE(family << " is " << value(family, labels) << ", not " << expected);
  return did;
}

void Sluice::wait_for_value(const std::string& family, const std::string& labels, double at_least) {
  if (!eventually([&] { return value(family, labels) >= at_least; })) {
    throw Failure(family + "{" + labels + "} is " + std::to_string(value(family, labels)) +
                  ", not " + std::to_string(at_least));
  }
}

void Sluice::wait_for_state(const std::string& pool, const std::string& name,
                            const std::string& state) {
  if (!eventually([&] { return endpoint(pool, name).at("state") == state; })) {
    throw Failure(pool + "/" + name + " is not " + state + ": " + endpoint(pool, name).dump());
  }
}

Message Sluice::reload() { return admin("POST", "/api/v1/reload"); }

Finished Sluice::command(const std::vector<std::string>& verb) {
  std::vector<std::string> arguments = {program("SLUICE")};
  arguments.insert(arguments.end(), verb.begin(), verb.end());
  arguments.insert(arguments.end(), {"--admin", "unix:" + dir_.path("admin.sock")});
  return run(arguments);
}

// Logs --------------------------------------------------------------------------------------------

std::string Sluice::log_text() { return read_file(dir_.path("access.log")); }

std::vector<Json> Sluice::log(size_t at_least) {
  std::vector<Json> lines;
  eventually([&] {
    lines.clear();
    std::istringstream text(log_text());
    for (std::string line; std::getline(text, line);) {
      Json json = Json::parse(line, nullptr, false);
      if (!json.is_discarded()) lines.push_back(std::move(json));
    }
    return lines.size() >= at_least;
  });
  if (lines.size() < at_least) throw Failure("the access log is short: " + log_text());
  return lines;
}

// The process -------------------------------------------------------------------------------------

uint64_t Sluice::rss_kib() { return status_kib(pid(), "VmRSS:"); }
uint64_t Sluice::peak_rss_kib() { return status_kib(pid(), "VmHWM:"); }

size_t Sluice::fds() {
  size_t count = 0;
  const std::string folder = "/proc/" + std::to_string(pid()) + "/fd";
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

void Sluice::check_reports() {
  const std::string text = err();
  for (const char* mark : {"AddressSanitizer", "LeakSanitizer", "ThreadSanitizer",
                           "runtime error:", "SL_CHECK", "exchange: step"}) {
    CHECK_MESSAGE(text.find(mark) == std::string::npos, text);
  }
}

void Sluice::stop() {
  if (!process_->poll_exit()) signal(SIGTERM);
  const auto code = wait();
  CHECK_MESSAGE(code.has_value(), "sluice does not stop: " << err());
  if (code) CHECK_MESSAGE(*code == 0, err());
  check_reports();
}

Sluice::~Sluice() {
  if (process_ == nullptr) return;
  if (std::uncaught_exceptions() > 0) {
    MESSAGE("stderr of sluice:\n" << err());
    return;  // killed by Process
  }
  stop();
}

// Requests ----------------------------------------------------------------------------------------

std::string request_text(const std::string& path, const std::string& lines,
                         const std::string& method) {
  return method + " " + path + " HTTP/1.1\r\nHost: test\r\n" + lines + "\r\n";
}

Message get(uint16_t port, const std::string& path, const std::string& lines) {
  Wire client = Wire::to_port(port);
  client.send(request_text(path, lines));
  return client.read_response();
}

}  // namespace e2e
