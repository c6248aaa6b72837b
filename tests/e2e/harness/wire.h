// A TCP or unix connection with a buffer, and a small strict reader of HTTP/1 messages over it.
// Everything blocks until a deadline and fails with a Failure that shows the bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/harness/base.h"

namespace e2e {

struct Field {
  std::string name, value;
};

struct Message {
  std::string raw_head;  // with its empty line
  std::string start;     // the first line without CRLF
  std::vector<Field> fields, trailers;
  std::string body;
  int status = 0;          // of a response
  std::string method;      // of a request
  std::string target;      // of a request
  bool complete = false;   // the body came whole by its framing
  bool by_close = false;   // its end was the end of the connection
  bool was_reset = false;  // the connection broke with a reset

  bool has(std::string_view name) const { return count(name) > 0; }
  size_t count(std::string_view name) const;
  std::string field(std::string_view name) const;  // values joined by ", "; "" when absent
  std::string names() const;                       // of the fields, in order: "Host,Accept"
};

enum class Ending { eof, reset, timeout };

class Wire {
 public:
  Wire() = default;
  explicit Wire(Fd fd) : fd_(std::move(fd)) {}
  static Wire to_port(uint16_t port);
  static Wire to_unix(const std::string& path);

  void send(std::string_view bytes);
  bool try_send(std::string_view bytes);    // false when the other side went away
  void send_split(std::string_view bytes);  // one segment a byte
  std::string read_exactly(size_t size);
  std::string read_until(std::string_view end);  // and with it
  Message read_head();                           // start line and fields
  Message read_request();
  // `method` is that of the request: HEAD has no body. Interim responses are returned too.
  Message read_response(std::string_view method = "GET");
  void read_body(Message& message, bool until_close);
  uint64_t discard(uint64_t most);  // reads and forgets; how much came before the end

  Ending wait_for_end();  // what comes before it is kept in rest()
  void expect_close();    // the end, and nothing before it
  void expect_reset();
  bool is_readable(milliseconds within);  // bytes or the end
  std::string rest() { return std::exchange(buffer_, {}); }

  void half_close();
  void close() { fd_.close(); }
  void reset();
  void set_receive_buffer(int bytes);
  int fd() const { return fd_.get(); }
  bool is_open() const { return fd_.is_open(); }

 private:
  bool fill();  // more bytes; false at the end
  void read_chunked(Message& message);
  void read_sized(Message& message, uint64_t size);

  Fd fd_;
  std::string buffer_;
  bool saw_eof_ = false;
  bool saw_reset_ = false;
};

// The field lines of a head; fails when one is not strictly "name: value".
std::vector<Field> parse_fields(std::string_view lines);

struct Listening {
  Fd fd;
  uint16_t port = 0;
};
// On a free port of 127.0.0.1.
Listening listen_on_loopback(int backlog = 4096);

}  // namespace e2e
