#include "tests/e2e/harness/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace e2e {

namespace {

void set_no_delay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Failure system_failure(const std::string& what) {
  return Failure(what + ": " + std::strerror(errno));
}

uint64_t parse_number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, base);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) {
    throw Failure("not a number: " + printable(std::string(text)));
  }
  return value;
}

}  // namespace

// Message -----------------------------------------------------------------------------------------

size_t Message::count(std::string_view name) const {
  size_t found = 0;
  for (const Field& field : fields) {
    if (lower(field.name) == lower(std::string(name))) ++found;
  }
  return found;
}

std::string Message::field(std::string_view name) const {
  std::string joined;
  for (const Field& field : fields) {
    if (lower(field.name) != lower(std::string(name))) continue;
    joined += (joined.empty() ? "" : ", ") + field.value;
  }
  return joined;
}

std::string Message::names() const {
  std::string joined;
  for (const Field& field : fields) joined += (joined.empty() ? "" : ",") + field.name;
  return joined;
}

std::vector<Field> parse_fields(std::string_view lines) {
  std::vector<Field> fields;
  while (!lines.empty()) {
    const size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    if (end == std::string_view::npos) throw Failure("a field line without CRLF");
    lines.remove_prefix(end + 2);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line.find_first_of("\r\n") < line.size() ||
        line[colon - 1] == ' ') {
      throw Failure("a bad field line: " + printable(std::string(line)));
    }
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
    fields.push_back({std::string(line.substr(0, colon)), std::string(value)});
  }
  return fields;
}

// Connections -------------------------------------------------------------------------------------

Wire Wire::to_port(uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw system_failure("connect to port " + std::to_string(port));
  }
  set_no_delay(fd.get());
  return Wire(std::move(fd));
}

Wire Wire::to_unix(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw system_failure("connect to " + path);
  }
  return Wire(std::move(fd));
}

Listening listen_on_loopback(int backlog) {
  Listening listening;
  listening.fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int fd = listening.fd.get();
  if (bind(fd, generic, size) != 0 || listen(fd, backlog) != 0 ||
      getsockname(fd, generic, &size) != 0) {
    throw system_failure("listen");
  }
  listening.port = ntohs(address.sin_port);
  return listening;
}

// Out ---------------------------------------------------------------------------------------------

bool Wire::try_send(std::string_view bytes) {
  const Deadline deadline;
  while (!bytes.empty()) {
    pollfd ready{fd_.get(), POLLOUT, 0};
    if (poll(&ready, 1, deadline.left_ms()) == 0) throw Failure("nobody reads what is sent");
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void Wire::send(std::string_view bytes) {
  if (!try_send(bytes)) throw system_failure("send");
}

void Wire::send_split(std::string_view bytes) {
  for (const char& c : bytes) send(std::string_view(&c, 1));
}

void Wire::half_close() { shutdown(fd_.get(), SHUT_WR); }

void Wire::reset() {
  const linger hard{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  fd_.close();
}

void Wire::set_receive_buffer(int bytes) {
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

// In ----------------------------------------------------------------------------------------------

bool Wire::fill() {
  if (saw_eof_ || saw_reset_) return false;
  const Deadline deadline;
  for (;;) {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (poll(&ready, 1, deadline.left_ms()) == 0) {
      throw Failure("nothing came; before it: " + printable(buffer_.substr(0, 400)));
    }
    char bytes[65536];
    const ssize_t got = recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    saw_eof_ = got == 0;
    saw_reset_ = got < 0;
    if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
    return got > 0;
  }
}

std::string Wire::read_exactly(size_t size) {
  while (buffer_.size() < size) {
    if (!fill()) throw Failure("the end came early, after: " + printable(buffer_.substr(0, 400)));
  }
  std::string bytes = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return bytes;
}

std::string Wire::read_until(std::string_view end) {
  size_t at;
  while ((at = buffer_.find(end)) == std::string::npos) {
    if (!fill()) throw Failure("the end came early, after: " + printable(buffer_.substr(0, 400)));
  }
  return read_exactly(at + end.size());
}

uint64_t Wire::discard(uint64_t most) {
  uint64_t done = 0;
  while (done < most) {
    if (buffer_.empty() && !fill()) return done;
    const size_t take = std::min<uint64_t>(buffer_.size(), most - done);
    buffer_.erase(0, take);
    done += take;
  }
  return done;
}

Message Wire::read_head() {
  Message message;
  message.raw_head = read_until("\r\n\r\n");
  const size_t end = message.raw_head.find("\r\n");
  message.start = message.raw_head.substr(0, end);
  message.fields = parse_fields(std::string_view(message.raw_head).substr(end + 2));
  return message;
}

Message Wire::read_request() {
  Message request = read_head();
  const size_t first = request.start.find(' ');
  const size_t last = request.start.rfind(' ');
  if (first == std::string::npos || last == first || request.start.substr(last) != " HTTP/1.1") {
    throw Failure("a bad request line: " + printable(request.start));
  }
  request.method = request.start.substr(0, first);
  request.target = request.start.substr(first + 1, last - first - 1);
  read_body(request, false);
  return request;
}

Message Wire::read_response(std::string_view method) {
  Message response = read_head();
  if (!response.start.starts_with("HTTP/1.1 ") || response.start.size() < 13 ||
      response.start[12] != ' ') {
    throw Failure("a bad status line: " + printable(response.start));
  }
  response.status = static_cast<int>(parse_number(response.start.substr(9, 3), 10));
  const bool no_body =
      method == "HEAD" || response.status < 200 || response.status == 204 || response.status == 304;
  if (no_body) {
    response.complete = true;
  } else {
    read_body(response, true);
  }
  return response;
}

void Wire::read_body(Message& message, bool until_close) {
  if (message.count("Content-Length") + message.count("Transfer-Encoding") > 1) {
    throw Failure("ambiguous framing: " + printable(message.raw_head));
  }
  if (message.has("Transfer-Encoding")) {
    if (message.field("Transfer-Encoding") != "chunked") throw Failure("a strange coding");
    return read_chunked(message);
  }
  if (message.has("Content-Length")) {
    return read_sized(message, parse_number(message.field("Content-Length"), 10));
  }
  message.complete = true;
  if (!until_close) return;
  message.by_close = true;
  message.was_reset = wait_for_end() == Ending::reset;
  message.complete = !message.was_reset;
  message.body = rest();
}

void Wire::read_sized(Message& message, uint64_t size) {
  while (buffer_.size() < size && fill()) {
  }
  message.complete = buffer_.size() >= size;
  message.was_reset = saw_reset_;
  message.body = message.complete ? read_exactly(size) : rest();
}

void Wire::read_chunked(Message& message) {
  for (;;) {
    while (buffer_.find("\r\n") == std::string::npos) {
      if (fill()) continue;
      message.was_reset = saw_reset_;
      return;
    }
    const std::string line = read_until("\r\n");
    const uint64_t size = parse_number(line.substr(0, line.find_first_of(";\r")), 16);
    if (size == 0) break;
    while (buffer_.size() < size + 2) {
      if (fill()) continue;
      message.was_reset = saw_reset_;
      message.body += rest();
      return;
    }
    message.body += read_exactly(size);
    if (read_exactly(2) != "\r\n") throw Failure("a chunk without CRLF");
  }
  std::string trailers;
  for (std::string line; (line = read_until("\r\n")) != "\r\n";) trailers += line;
  message.trailers = parse_fields(trailers);
  message.complete = true;
}

// The end -----------------------------------------------------------------------------------------

Ending Wire::wait_for_end() {
  try {
    while (fill()) {
    }
  } catch (const Failure&) {
    return Ending::timeout;
  }
  return saw_reset_ ? Ending::reset : Ending::eof;
}

void Wire::expect_close() {
  const Ending ending = wait_for_end();
  if (ending == Ending::timeout) throw Failure("the connection stays open");
  if (ending == Ending::reset) throw Failure("a reset instead of a close");
  if (!buffer_.empty()) throw Failure("bytes before the close: " + printable(buffer_));
}

void Wire::expect_reset() {
  if (wait_for_end() != Ending::reset) throw Failure("no reset came");
}

bool Wire::is_readable(milliseconds within) {
  if (!buffer_.empty() || saw_eof_ || saw_reset_) return true;
  pollfd ready{fd_.get(), POLLIN, 0};
  return poll(&ready, 1, static_cast<int>(within.count())) > 0;
}

}  // namespace e2e
