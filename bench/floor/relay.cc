// The floor of the benchmark: a bare relay, the least that a forwarding HTTP/1.1 proxy on libuv and
// llhttp can do. What sluice adds to it is sluice's own work.
//
//   relay LISTEN_PORT ORIGIN_PORT...      on 127.0.0.1, one thread, until a signal
//
// It keeps what the budget of DESIGN.md section 5 counts: llhttp finds the end of each head on both
// sides, the request's head is extended by two lines in one writev, Content-Length bodies are
// counted and not parsed; per request one read and one write a side, no epoll_ctl, no malloc. It
// leaves out all else: no pool (a client connection owns one origin connection, chosen in turn), no
// routing, no limits, no timers, no error answers. Whatever it does not understand (chunked bodies,
// upgrades) closes the pair. Only the benchmark's load may be sent to it.
//
// Lifetime: a Pair lives until both handles' close callbacks came. All reads land in one static
// buffer and are used up before the callback returns.

#include <llhttp.h>
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kHighWater = 256 * 1024;
constexpr size_t kLowWater = 64 * 1024;
constexpr std::string_view kExtraLines = "X-Forwarded-For: 127.0.0.1\r\nVia: 1.1 floor\r\n\r\n";

struct Pair;

struct Side {
  uv_tcp_t tcp{};
  llhttp_t parser{};
  Pair* pair = nullptr;
  Side* other = nullptr;
  uint64_t body_left = 0;
  std::string partial;  // a head that came in pieces
  bool is_client = false;
  bool is_paused = false;
};

struct Pair {
  Side client, origin;
  uv_connect_t connect{};
  int open_handles = 0;
  bool is_closing = false;
};

struct QueuedWrite {
  uv_write_t request{};
  Side* to = nullptr;
  std::string bytes;
};

uv_loop_t g_loop;
llhttp_settings_t g_settings;
char g_buffer[kReadSize];
std::vector<sockaddr_in> g_origins;
size_t g_next_origin = 0;

uv_stream_t* stream_of(Side& side) { return reinterpret_cast<uv_stream_t*>(&side.tcp); }

void on_closed(uv_handle_t* handle) {
  Pair* pair = static_cast<Side*>(handle->data)->pair;
  if (--pair->open_handles == 0) delete pair;
}

void close_pair(Pair& pair) {
  if (pair.is_closing) return;
  pair.is_closing = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&pair.client.tcp), on_closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&pair.origin.tcp), on_closed);
}

void give_buffer(uv_handle_t*, size_t, uv_buf_t* buf) {
  *buf = uv_buf_init(g_buffer, sizeof g_buffer);
}

void on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buf);

void on_written(uv_write_t* request, int status) {
  auto* write = static_cast<QueuedWrite*>(request->data);
  Side& to = *write->to;
  delete write;
  if (status != 0) return close_pair(*to.pair);
  Side& from = *to.other;
  if (from.is_paused && !to.pair->is_closing &&
      uv_stream_get_write_queue_size(stream_of(to)) < kLowWater) {
    from.is_paused = false;
    uv_read_start(stream_of(from), give_buffer, on_read);
  }
}

// One writev; only what the socket does not take is copied and queued.
void send(Side& to, uv_buf_t* bufs, unsigned count) {
  int sent = uv_try_write(stream_of(to), bufs, count);
  if (sent < 0 && sent != UV_EAGAIN) return close_pair(*to.pair);
  size_t skip = sent < 0 ? 0 : static_cast<size_t>(sent);
  size_t total = 0;
  for (unsigned i = 0; i < count; ++i) total += bufs[i].len;
  if (skip == total) return;

  auto* write = new QueuedWrite;
  write->to = &to;
  write->request.data = write;
  write->bytes.reserve(total - skip);
  for (unsigned i = 0; i < count; ++i) {
    size_t drop = std::min(skip, bufs[i].len);
    write->bytes.append(bufs[i].base + drop, bufs[i].len - drop);
    skip -= drop;
  }
  uv_buf_t rest = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  uv_write(&write->request, stream_of(to), &rest, 1, on_written);
  Side& from = *to.other;
  if (!from.is_paused && uv_stream_get_write_queue_size(stream_of(to)) > kHighWater) {
    from.is_paused = true;
    uv_read_stop(stream_of(from));
  }
}

// The parser stops behind the head; the body is counted, not parsed.
int on_head_complete(llhttp_t*) { return HPE_PAUSED; }

// Sends a head that ends at data[head_size] and the first bytes of its body in one write.
void forward_head(Side& from, char* data, size_t head_size, size_t body_size) {
  uv_buf_t bufs[4];
  unsigned count = 0;
  if (!from.partial.empty()) {
    from.partial.append(data, head_size);
    data += head_size;  // the head is now in `partial`, `data` is the body
    bufs[count++] = uv_buf_init(from.partial.data(), static_cast<unsigned>(from.partial.size()));
  } else {
    bufs[count++] = uv_buf_init(data, static_cast<unsigned>(head_size));
    data += head_size;
  }
  if (from.is_client) {
    bufs[0].len -= 2;  // our lines stand before the empty line
    bufs[count++] = uv_buf_init(const_cast<char*>(kExtraLines.data()), kExtraLines.size());
  }
  if (body_size > 0) bufs[count++] = uv_buf_init(data, static_cast<unsigned>(body_size));
  send(*from.other, bufs, count);
  if (!from.partial.empty()) from.partial.clear();
}

// Returns how many bytes it used, 0 when the connection can't go on.
size_t take_head(Side& from, char* data, size_t size) {
  llhttp_errno_t err = llhttp_execute(&from.parser, data, size);
  if (err == HPE_OK) {
    from.partial.append(data, size);
    return size;
  }
  if (err != HPE_PAUSED || from.parser.upgrade != 0 || (from.parser.flags & F_CHUNKED) != 0)
    return 0;
  size_t head_size = static_cast<size_t>(llhttp_get_error_pos(&from.parser) - data);
  uint64_t length = (from.parser.flags & F_CONTENT_LENGTH) != 0 ? from.parser.content_length : 0;
  llhttp_reset(&from.parser);
  size_t body_size = static_cast<size_t>(std::min<uint64_t>(length, size - head_size));
  from.body_left = length - body_size;
  forward_head(from, data, head_size, body_size);
  return head_size + body_size;
}

size_t take_body(Side& from, char* data, size_t size) {
  size_t n = static_cast<size_t>(std::min<uint64_t>(from.body_left, size));
  from.body_left -= n;
  uv_buf_t buf = uv_buf_init(data, static_cast<unsigned>(n));
  send(*from.other, &buf, 1);
  return n;
}

void on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buf) {
  Side& from = *static_cast<Side*>(stream->data);
  if (n < 0) return close_pair(*from.pair);
  char* data = buf->base;
  size_t left = static_cast<size_t>(n);
  while (left > 0 && !from.pair->is_closing) {
    size_t used = from.body_left > 0 ? take_body(from, data, left) : take_head(from, data, left);
    if (used == 0) return close_pair(*from.pair);
    data += used;
    left -= used;
  }
}

void on_connected(uv_connect_t* request, int status) {
  Pair& pair = *static_cast<Pair*>(request->data);
  if (status != 0) return close_pair(pair);
  uv_tcp_nodelay(&pair.origin.tcp, 1);
  uv_read_start(stream_of(pair.origin), give_buffer, on_read);
  uv_read_start(stream_of(pair.client), give_buffer, on_read);
}

void init_side(Pair& pair, Side& side, Side& other, llhttp_type_t type) {
  uv_tcp_init(&g_loop, &side.tcp);
  ++pair.open_handles;
  side.tcp.data = &side;
  side.pair = &pair;
  side.other = &other;
  side.is_client = &side == &pair.client;
  llhttp_init(&side.parser, type, &g_settings);
}

void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* pair = new Pair;
  init_side(*pair, pair->client, pair->origin, HTTP_REQUEST);
  init_side(*pair, pair->origin, pair->client, HTTP_RESPONSE);
  if (uv_accept(listener, stream_of(pair->client)) != 0) return close_pair(*pair);
  uv_tcp_nodelay(&pair->client.tcp, 1);
  pair->connect.data = pair;
  const sockaddr_in& origin = g_origins[g_next_origin++ % g_origins.size()];
  if (uv_tcp_connect(&pair->connect, &pair->origin.tcp, reinterpret_cast<const sockaddr*>(&origin),
                     on_connected) != 0) {
    close_pair(*pair);
  }
}

sockaddr_in local_address(const char* port) {
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", std::atoi(port), &address);
  return address;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: relay LISTEN_PORT ORIGIN_PORT...\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  for (int i = 2; i < argc; ++i) g_origins.push_back(local_address(argv[i]));
  llhttp_settings_init(&g_settings);
  g_settings.on_headers_complete = on_head_complete;
  uv_loop_init(&g_loop);

  uv_tcp_t listener;
  sockaddr_in address = local_address(argv[1]);
  uv_tcp_init(&g_loop, &listener);
  int err = uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
  if (err == 0) err = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 1024, on_connection);
  if (err != 0) {
    std::fprintf(stderr, "relay: cannot listen on port %s: %s\n", argv[1], uv_strerror(err));
    return 1;
  }
  return uv_run(&g_loop, UV_RUN_DEFAULT);
}
