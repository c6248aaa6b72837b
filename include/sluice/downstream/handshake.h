// What happens between accept and the first HTTP byte: the protocol of a connection is chosen.
//
// A plain listener speaks HTTP/1 at once; the PROXY line, TLS and HTTP/2 by prior knowledge will
// stand here.
#pragma once

#include <memory>

#include "sluice/base/address.h"
#include "sluice/downstream/listener.h"

namespace sluice::downstream {

// Makes the connection for an accepted descriptor, which it takes over; nullptr when that failed.
Connection* open_connection(Listener& listener, int fd, const SocketAddress& peer,
                            bool counted_by_address);

}  // namespace sluice::downstream
