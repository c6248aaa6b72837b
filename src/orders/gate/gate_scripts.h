// What the gate says to Redis: its Lua scripts. Pure text.
//
// KEYS[1] of each is the name below; all other keys are that name with ":" and a word behind it, so
// that they share its hash tag and live on one node of a cluster. Each answers a list of texts,
// whose first is a code.
//   (the name)  hash    epoch, run (run_id of the server that it was built on), products, ops.
//                       Without an epoch the gate is closed
//   stock       hash    product -> units that may still be reserved
//   raises      hash    product -> how often units came back from the database
//   held        hash    key -> record of an open reservation: user, owner, until, items
//   expiry      zset    key -> unix ms when its reservation is to be looked into
//   known       zset    key -> when it became known: keys that have, or are getting, an order
//   raised      zset    order -> when its units came back
//   users       hash    user -> orders of this epoch that hold or took units
//   late        hash    product -> units that came back while the gate is being built
//   lock        text    who is building the gate
//   view:stock, view:item, order:ID     what is read through
// A gate may say more than the database has for a moment, never less: who doubts gives units back.
// The database refuses what is too much, and the gate learns it.
#pragma once

#include <string>

namespace sluice::orders {

inline constexpr const char* kGateName = "orders:{gate}";
inline constexpr const char* kGateNews = "orders:{gate}:news";  // the channel

// key, user, most orders of a user, life in ms, owner, last known time, then product, quantity...
// (by product). All or nothing.
//   reserved EPOCH RAISES...   known EPOCH   user_limit EPOCH   unknown EPOCH PRODUCT
//   sold_out EPOCH PRODUCT LEFT LAST MORE KEY...: the next keys that became known, and the time of
//   the last of them     closed    broken EPOCH
std::string reserve_script();
// key, verdict (accepted, replayed, refused), epoch when it was sent to the database, user or "",
// then product, quantity... Once: what is no longer held is not given back.
//   settled   charged: units that had not been reserved   nothing
std::string settle_script();
// order, user or "", then product, quantity...: units that came back in the database. Once an
// order.
//   raised   nothing
std::string raise_script();
// product, available in the database, raises and epoch when that was asked for: lowered, nothing.
std::string lower_script();

// epoch at the asker: open EPOCH, closed. Closes a gate that was built on another server.
std::string look_script();
// token, life of the lock in ms, epoch that may be replaced, owner. A token begins with its owner,
// who may begin anew. begun KEY RECORD..., open EPOCH, locked
std::string begin_script();
// token, life of the lock in ms, keys...: learned, lost
std::string learn_script();
// token, number of products, product, available..., then keys of reservations without an order:
// open EPOCH, lost
std::string install_script();

// at most so many: keys whose reservations are to be looked into. Forgets what is too old.
std::string expired_script();
// All of one moment: compare EPOCH OPS PRODUCTS, PRODUCT LEFT RAISES..., KEY RECORD...; or
// closed
std::string compare_script();

// What is read through: entries carry the time at which their reading began (NOW), and end `life`
// ms after it, however late they are written.
// order: entry NOW TEXT
std::string read_entry_script();
// order, text, version, NOW, life: filled, late, older
std::string fill_entry_script();
// order, version: forgotten NOW: there was an older one; nothing NOW
std::string forget_entry_script();
// "" or one product: view NOW ITEM STOCK...
std::string read_view_script();
// NOW, life, product, item, stock...
std::string fill_view_script();

}  // namespace sluice::orders
