#include "sluice/downstream/handshake.h"

#include "sluice/downstream/h1_connection.h"
#include "sluice/loop/tcp.h"

namespace sluice::downstream {

Connection* open_connection(Listener& listener, int fd, const SocketAddress& peer,
                            bool counted_by_address) {
  auto stream = loop::adopt_socket(listener.kit().loop, fd);
  if (!stream) return nullptr;
  auto* connection = new H1Connection(listener, *std::move(stream), peer, counted_by_address);
  connection->start();
  return connection;
}

}  // namespace sluice::downstream
