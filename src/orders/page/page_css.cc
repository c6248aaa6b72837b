#include "sluice/orders/page/page.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kText = R"css(:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #fff; --line: #d5d9e0; --text: #1a1d23; --dim: #5a6270;
  --main: #1d4ed8; --on-main: #fff; --good: #166534; --good-ground: #dcfce7;
  --bad: #991b1b; --bad-ground: #fee2e2; --wait: #854d0e; --wait-ground: #fef3c7;
  --paid: #1e40af; --paid-ground: #dbeafe; --mine: #eef3ff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151b; --card: #1c2029; --line: #363c49; --text: #e8eaf0; --dim: #a3abba;
    --main: #8ab4ff; --on-main: #0b1220; --good: #86efac; --good-ground: #14351f;
    --bad: #fca5a5; --bad-ground: #451a1a; --wait: #fcd34d; --wait-ground: #3d2f0b;
    --paid: #a9c7ff; --paid-ground: #1b2c52; --mine: #1f2740;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 3rem; background: var(--ground);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif;
}
.bar { margin-bottom: .5rem }
header, .bar { display: flex; gap: .5rem 1rem; align-items: center; justify-content: space-between; flex-wrap: wrap }
h1 { font-size: 1.75rem; margin: 0 }
h2 { font-size: 1.15rem; margin: .5rem 0 }
h3 { font-size: 1rem; margin: 0 }
section { margin-top: 1.25rem }
main:focus { outline: none }
.dim, th { color: var(--dim) }
.skip { position: absolute; left: -99rem }
.skip:focus { position: static }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
button, select { font: inherit; border-radius: 8px; border: 1px solid var(--main); padding: .45rem .9rem }
button { background: var(--main); color: var(--on-main); font-weight: 600; cursor: pointer }
button.plain { background: transparent; color: var(--main) }
button[aria-disabled=true] { background: transparent; border-color: var(--line); color: var(--dim); cursor: default }
select { background: var(--card); color: var(--text); border-color: var(--dim) }
.pill, .state { border-radius: 99px; padding: .15rem .7rem; font-size: .875rem; font-weight: 600; margin: 0; white-space: nowrap }
.notice { border-radius: 8px; padding: .6rem .9rem; margin: 1rem 0 0 }
.notice:empty { display: none }
[data-kind=good] { color: var(--good); background: var(--good-ground) }
[data-kind=bad] { color: var(--bad); background: var(--bad-ground) }
[data-kind=wait] { color: var(--wait); background: var(--wait-ground) }
[data-kind=paid] { color: var(--paid); background: var(--paid-ground) }
.cards { list-style: none; padding: 0; margin: 0; display: grid; gap: .9rem; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)) }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .9rem 1rem; display: flex; flex-direction: column; gap: .5rem }
.cards p { margin: auto 0 0; display: flex; justify-content: space-between; align-items: baseline }
.stock b { font-size: 1.5rem; font-variant-numeric: tabular-nums }
.columns { display: grid; gap: 0 1.5rem; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr) }
.scroll { background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow-x: auto }
.scroll p { margin: 0; padding: .5rem 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; font-size: .875rem }
th, td { padding: .45rem 0 .45rem 1rem; white-space: nowrap }
th:last-child, td:last-child { padding-right: 1rem }
tbody tr { border-top: 1px solid var(--line) }
tr.mine { background: var(--mine) }
.mark { font-weight: 600; color: var(--main) }
code { font-size: .875rem; overflow-wrap: anywhere }
@media (max-width: 60rem) { .columns { grid-template-columns: minmax(0, 1fr) } }
)css";

}  // namespace

std::string_view page_css() noexcept { return kText; }

}  // namespace sluice::orders
