#include "sluice/admin/client.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "sluice/base/address.h"
#include "sluice/base/strings.h"
#include "sluice/config/admin_address.h"

namespace sluice::admin {

namespace {

constexpr size_t kMaxReply = 64 * 1024 * 1024;

// A connected descriptor with a deadline for everything that is done with it.
class Wire {
 public:
  explicit Wire(Duration timeout) : deadline_(monotonic_now() + timeout) {}
  ~Wire() {
    if (fd_ >= 0) close(fd_);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // All return "" or what went wrong.
  std::string connect(const Target& target);
  std::string send(std::string_view bytes);
  std::string receive_all(std::string& bytes);
  // The address that we got to, for Host: a name would be refused (DNS rebinding).
  const std::string& host() const noexcept { return host_; }

 private:
  std::string connect_to(const SocketAddress& address);
  bool wait(short events);

  TimePoint deadline_;
  int fd_ = -1;
  std::string host_ = "localhost";
};

std::string system_text(int error) { return std::strerror(error); }

bool Wire::wait(short events) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - monotonic_now()).count();
    pollfd entry{fd_, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

std::string Wire::connect_to(const SocketAddress& address) {
  if (fd_ >= 0) close(fd_);
  fd_ = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return system_text(errno);
  if (::connect(fd_, address.raw(), address.size()) == 0) return {};
  if (errno != EINPROGRESS) return system_text(errno);
  if (!wait(POLLOUT)) return "no answer in time";
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? std::string() : system_text(error);
}

std::string Wire::connect(const Target& target) {
  if (target.is_unix) {
    const auto address = SocketAddress::from_path(target.path);
    return address ? connect_to(*address) : "the path is too long for a socket";
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found);
  if (failure != 0) return gai_strerror(failure);
  std::string problem = "the name has no address";
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const SocketAddress address(each->ai_addr, each->ai_addrlen);
    problem = connect_to(address);
    host_ = address.to_string();
    if (problem.empty()) break;
  }
  freeaddrinfo(found);
  return problem;
}

std::string Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (!wait(POLLOUT)) return "it did not take the request in time";
    } else {
      return system_text(errno);
    }
  }
  return {};
}

std::string Wire::receive_all(std::string& bytes) {
  char part[16 * 1024];
  for (;;) {
    const ssize_t n = recv(fd_, part, sizeof part, 0);
    if (n == 0) return {};
    if (n > 0) {
      bytes.append(part, static_cast<size_t>(n));
      if (bytes.size() > kMaxReply) return "the answer is too long";
    } else if (errno == EAGAIN || errno == EINTR) {
      if (!wait(POLLIN)) return "no answer in time";
    } else {
      return system_text(errno);
    }
  }
}

}  // namespace

std::string Target::text() const {
  if (is_unix) return "unix:" + path;
  const bool is_v6 = host.find(':') != std::string::npos;
  return "http://" + (is_v6 ? "[" + host + "]" : host) + ":" + port;
}

ParsedTarget parse_target(std::string_view text) {
  constexpr std::string_view kUnix = "unix:", kHttp = "http://";
  if (text.starts_with(kUnix) && text.size() > kUnix.size()) {
    return {{Target{true, std::string(text.substr(kUnix.size())), {}, {}}}, {}};
  }
  const std::string wrong = fmt::format("--admin {}: give unix:/PATH or http://HOST:PORT", text);
  if (!text.starts_with(kHttp)) return {{}, wrong};
  std::string_view rest = text.substr(kHttp.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return {{}, wrong};
  std::string_view host = rest.substr(0, colon);
  const auto port = parse_decimal(rest.substr(colon + 1));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty() || !port || *port == 0 || *port > 65535) return {{}, wrong};
  return {{Target{false, {}, std::string(host), std::to_string(*port)}}, {}};
}

ClientReply ask(const Target& target, const ClientRequest& request) {
  Wire wire(request.timeout);
  ClientReply reply;
  reply.problem = wire.connect(target);
  if (!reply.problem.empty()) return reply;
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
                                 request.method, request.path, wire.host());
  if (!request.body.empty()) head += "Content-Type: application/json\r\n";
  if (request.method != "GET") head += fmt::format("Content-Length: {}\r\n", request.body.size());
  reply.problem = wire.send(head + "\r\n" + request.body);
  if (!reply.problem.empty()) return reply;
  std::string bytes;
  reply.problem = wire.receive_all(bytes);
  if (!reply.problem.empty()) return reply;
  return parse_reply(bytes);
}

ClientReply ask_first(std::string_view admin_option, const ClientRequest& request) {
  std::vector<Target> targets;
  if (admin_option.empty()) {
    for (const config::AdminSocket& socket : config::admin_listen_candidates()) {
      targets.push_back({true, socket.path, {}, {}});
    }
  } else {
    ParsedTarget parsed = parse_target(admin_option);
    if (parsed.targets.empty()) return {0, {}, std::move(parsed.problem)};
    targets = std::move(parsed.targets);
  }
  std::string tried;
  for (const Target& target : targets) {
    ClientReply reply = ask(target, request);
    if (reply.status != 0) return reply;
    tried += fmt::format("\n  {}: {}", target.text(), reply.problem);
  }
  const char* remedy = admin_option.empty()
                           ? "is it running, as a user whose socket you may open? Its first log "
                             "lines name its admin address; give that with --admin"
                           : "is it running, and is admin.bind of its file that address?";
  return {0, {}, fmt::format("cannot reach sluice; tried{}\n{}", tried, remedy)};
}

// The response ------------------------------------------------------------------------------------

namespace {

std::optional<std::string> join_chunks(std::string_view rest) {
  std::string body;
  for (;;) {
    const size_t line_end = rest.find("\r\n");
    if (line_end == std::string_view::npos || line_end == 0 || line_end > 8) return std::nullopt;
    size_t size = 0;
    for (const char c : rest.substr(0, line_end)) {
      if (hex_value(c) < 0) return std::nullopt;
      size = size * 16 + static_cast<size_t>(hex_value(c));
    }
    rest.remove_prefix(line_end + 2);
    if (size == 0) return body;
    if (rest.size() < size + 2) return std::nullopt;
    body.append(rest.substr(0, size));
    rest.remove_prefix(size + 2);
  }
}

std::string_view header(std::string_view head, std::string_view name) {
  for (std::string_view line : split(head, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (!equals_ignore_case(line.substr(0, colon), name)) continue;
    std::string_view value = line.substr(colon + 1);
    if (value.ends_with('\r')) value.remove_suffix(1);
    return trim(value);
  }
  return {};
}

}  // namespace

ClientReply parse_reply(std::string_view bytes) {
  ClientReply broken{0, {}, "what answers there does not speak HTTP"};
  ClientReply cut{0, {}, "the answer was cut short"};
  const size_t head_end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.") || bytes.size() < 12) return broken;
  if (head_end == std::string_view::npos) return cut;
  const auto status = parse_decimal(bytes.substr(9, 3));
  if (!status) return broken;
  const std::string_view head = bytes.substr(0, head_end);
  std::string_view body = bytes.substr(head_end + 4);
  if (equals_ignore_case(header(head, "Transfer-Encoding"), "chunked")) {
    auto joined = join_chunks(body);
    if (!joined) return cut;
    return {static_cast<int>(*status), std::move(*joined), {}};
  }
  if (const auto length = parse_decimal(header(head, "Content-Length"))) {
    if (body.size() < *length) return cut;
    body = body.substr(0, *length);
  }
  return {static_cast<int>(*status), std::string(body), {}};
}

}  // namespace sluice::admin
