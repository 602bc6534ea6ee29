/* The style of the page: system fonts, one calm palette for light, dark and paper, and tables that become cards.
 *
 * Colours are the blue, vermilion, green, purple, orange and sky of Okabe and Ito (2008), which colour-blind readers
 * can tell apart, darkened or lightened for contrast; curves differ in dash and dots as well. Read first: page.h. */
#include "report/page.h"

static const char palette[] =
    ":root{color-scheme:light dark;--bg:#f7f8f9;--card:#fff;--ink:#1b2430;--soft:#566273;"
    "--line:#dde2e8;--faint:#eef1f4;--blue:#0069a8;--red:#c25400;--green:#00785a;--purple:#a8487f;"
    "--gold:#a87400;--sky:#2a8fc4;--cell:#2b6ea6;--on:#fff;--good:#e3f3ee;--bad:#fbe9de}\n"
    "@media (prefers-color-scheme:dark){:root{--bg:#11151a;--card:#191f27;--ink:#e5e9ef;"
    "--soft:#9aa6b5;--line:#2e3743;--faint:#222a34;--blue:#5fb4ee;--red:#f2965a;--green:#4fc9a0;"
    "--purple:#dd92bd;--gold:#e5b94e;--sky:#9fd8f7;--cell:#3f8fd0;--on:#fff;--good:#16332b;"
    "--bad:#3b2517}}\n";

static const char text_style[] =
    "*{box-sizing:border-box}\n"
    "html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}\n"
    "body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Helvetica Neue\",\"PingFang TC\",\"Microsoft JhengHei\","
    "\"Noto Sans CJK TC\",\"Noto Sans TC\",\"Liberation Sans\",Arial,sans-serif;"
    "font-variant-numeric:tabular-nums}\n"
    "header,main,footer{max-width:1180px;margin:0 auto;padding:0 24px}\n"
    "header{padding-top:40px}\n"
    "h1{font-size:2.1rem;line-height:1.2;margin:0 0 8px;letter-spacing:-.015em;"
    "overflow-wrap:anywhere}\n"
    "h2{font-size:1.45rem;line-height:1.3;margin:0 0 4px;letter-spacing:-.01em}\n"
    "h3{font-size:1.08rem;line-height:1.4;margin:30px 0 6px;overflow-wrap:anywhere}\n"
    "h3 i,.forest i,.legend i,td i,th "
    "i{white-space:nowrap;font-style:normal;font-weight:400;color:var(--soft)}\n"
    "p{margin:8px 0;max-width:78ch}\n"
    ".sub{color:var(--soft);margin:0;overflow-wrap:anywhere}\n"
    ".asks{max-width:none;color:var(--soft);font-size:1.05rem;margin:0 0 18px}\n"
    ".note{color:var(--soft);font-size:.9rem}\n"
    ".facts{max-width:none;margin:0 0 6px;font-size:.92rem;color:var(--soft)}\n"
    ".said{padding-left:1.2em;max-width:78ch;margin:8px 0}.said li{margin:4px 0}\n"
    "small{font-size:.84em;color:var(--soft);font-weight:400;white-space:nowrap}\n"
    "small.why{white-space:normal;display:inline-block;min-width:16em}\n"
    "code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;"
    "overflow-wrap:anywhere}\n"
    "a{color:var(--blue)}\n"
    "nav{display:flex;flex-wrap:wrap;gap:6px;margin:20px 0 0}\n"
    "nav a{text-decoration:none;font-size:.88rem;padding:3px 11px;border:1px solid var(--line);"
    "border-radius:99px;background:var(--card)}\n"
    "nav a:hover,nav a:focus{border-color:var(--blue)}\n"
    "section{background:var(--card);border:1px solid var(--line);border-radius:12px;"
    "padding:26px 28px;margin:22px 0}\n"
    "article{border-top:1px solid var(--line);margin-top:26px;padding-top:2px}\n"
    ".asks+article{border-top:0;margin-top:0}article h3{font-size:1.15rem;margin:22px 0 2px}\n"
    "footer{color:var(--soft);font-size:.85rem;padding-bottom:48px}\n"
    "details{margin:12px 0}summary{cursor:pointer;color:var(--blue);font-size:.92rem}\n"
    ".proof{border-radius:8px;padding:7px 13px;font-size:.92rem;max-width:none}\n"
    ".proof.good{background:var(--good)}.proof.bad{background:var(--bad)}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 22px;margin:8px 0}\n"
    "dt{color:var(--soft)}dd{margin:0;min-width:0;overflow-wrap:anywhere}\n";

static const char table_style[] =
    ".box{overflow-x:auto;margin:12px 0}\n"
    "table{border-collapse:collapse;width:100%;font-size:.9rem;line-height:1.45}\n"
    "table.small{width:auto}\n"
    "th,td{text-align:left;padding:7px 16px 7px 0;border-bottom:1px solid var(--line);"
    "vertical-align:baseline}\n"
    "th:last-child,td:last-child{padding-right:0}\n"
    "thead "
    "th{word-break:keep-all;font-weight:600;font-size:.82rem;color:var(--soft);vertical-align:"
    "bottom;"
    "border-bottom:1.5px solid var(--soft)}\n"
    "tbody th{font-weight:600}\n"
    ".n{text-align:right}td.n{white-space:nowrap}\n"
    "td.n small{display:block}\n"
    "b.apart{color:var(--blue)}b.same{white-space:nowrap;color:var(--soft);font-weight:400}\n"
    ".never{font-style:italic;color:var(--soft);border-bottom:1px dotted var(--soft)}\n";

static const char figure_style[] =
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(250px,100%),1fr));"
    "gap:18px 22px;margin:16px 0 8px}\n"
    "figure{margin:0;min-width:0;max-width:380px}figure svg{display:block;width:100%;height:auto}\n"
    "figcaption{font-size:.84rem;margin-bottom:6px;line-height:1.5;min-height:3em}\n"
    "figcaption b{display:block;font-weight:600}figcaption span{color:var(--soft)}\n"
    "svg text{font-size:11px;fill:var(--soft)}\n"
    "svg .count text{font-size:14px;fill:var(--ink);font-weight:600}\n"
    "svg .on text{font-size:14px;fill:var(--on);font-weight:600}\n"
    ".grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}\n"
    ".best{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}\n"
    "path{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    "path.train{stroke:var(--red);stroke-dasharray:5 3}path.val{stroke:var(--blue)}\n"
    "circle.train{fill:var(--card);stroke:var(--red);stroke-width:1.5}circle.val{fill:var(--blue)}"
    "\n"
    ".cell{fill:var(--cell);stroke:var(--line);stroke-width:1}\n"
    ".key{white-space:nowrap;margin-right:8px}\n"
    ".key:before{content:\"\";display:inline-block;width:16px;margin-right:5px;"
    "vertical-align:middle;border-top:2px solid}\n"
    ".key.train:before{border-top:2px dashed var(--red)}.key.val:before{border-color:var(--blue)}\n"
    ".key.best:before{width:0;height:12px;border-top:0;border-left:1px dashed var(--soft)}\n"
    ".c0{stroke:var(--blue)}.c1{stroke:var(--red);stroke-dasharray:6 3}\n"
    ".c2{stroke:var(--green);stroke-dasharray:2 2}.c3{stroke:var(--purple);"
    "stroke-dasharray:8 3 2 3}\n"
    ".c4{stroke:var(--gold);stroke-dasharray:10 4}.c5{stroke:var(--sky);stroke-dasharray:4 4}\n"
    ".pair{display:grid;grid-template-columns:minmax(0,460px) minmax(0,1fr);gap:16px 36px;"
    "align-items:center;margin-top:26px}\n"
    "figure.wide{max-width:460px}.legend{list-style:none;margin:0;padding:0;font-size:.9rem}\n"
    "figure.wide figcaption{min-height:0}figure.wide svg text{font-size:8px}\n"
    ".legend li{margin:9px 0;display:flex;gap:10px;align-items:baseline}.legend svg{flex:none}\n";

static const char row_style[] =
    ".forest{display:grid;grid-template-columns:max-content minmax(120px,1fr) max-content;"
    "column-gap:20px;align-items:center;font-size:.9rem;margin:10px 0}\n"
    ".forest>div{padding:4px 0}.forest .n b{display:inline-block;min-width:3.4em}\n"
    "svg.row{width:100%;display:block;overflow:visible}\n"
    "line.apart{stroke:var(--blue);stroke-width:2}circle.apart{fill:var(--blue)}\n"
    "line.same{stroke:var(--soft);stroke-width:2}circle.same{fill:var(--card);"
    "stroke:var(--soft);stroke-width:2}\n"
    ".minus{color:var(--soft);padding:0 3px}\n"
    ".bars{display:grid;grid-template-columns:max-content 1fr;gap:6px 16px;align-items:center;"
    "font-size:.9rem;margin:12px 0 6px}\n"
    ".bar{display:flex;gap:2px;min-width:0;border-radius:5px;overflow:hidden}\n"
    ".bar span{flex-basis:0;min-width:0;overflow:hidden;color:var(--on);font-size:.82rem;"
    "padding:2px 0 2px 8px;white-space:nowrap}\n"
    ".k0{background:#3a78ad}.k1{background:#b5531c}.k2{background:#1b7a5e}.k3{background:#94487a}\n"
    ".k4{background:#8a6612}.k5{background:#4a5f78}.bar,.k,.cell{print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}\n"
    ".k{display:inline-block;width:11px;height:11px;border-radius:3px}\n"
    ".keys{font-size:.85rem;color:var(--soft);margin:4px 0 14px}\n";

/* Pages of a data set: findings with their weight at the left edge, and rows of thumbnails. */
static const char set_style[] =
    ".find{border-left:4px solid var(--line);padding:1px 0 1px 14px;margin:14px 0}"
    ".find b{font-weight:600}.find.error{border-color:var(--red)}"
    ".find.warning{border-color:var(--gold)}.find.note{border-color:var(--sky)}\n"
    ".thumbs{display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start;margin:8px 0 18px}"
    ".thumbs img{display:block;border-radius:4px;background:#000;max-width:128px;height:auto}"
    ".thumbs figure{width:auto;max-width:136px}"
    ".thumbs figcaption{min-height:0;margin:3px 0 0;font-size:.72rem;color:var(--soft);"
    "overflow-wrap:anywhere}.thumbs figure.mean img{outline:2px solid var(--blue)}\n";

/* Narrow: a row becomes a card whose lines are "head ... value". Print: paper white, nothing cut, details open. */
static const char narrow_style[] =
    "@media (max-width:960px){"
    ".forest{grid-template-columns:1fr max-content;column-gap:12px}\n"
    ".forest>div:nth-child(3n+1){grid-column:1/-1;padding-bottom:0}\n"
    ".forest>div:nth-child(3n+1):nth-last-child(3){display:none}}\n"
    "@media (max-width:720px){body{font-size:15px}header,main,footer{padding:0 12px}"
    "header{padding-top:24px}h1{font-size:1.6rem}section{padding:18px 15px;border-radius:10px}\n"
    "table.cards,.cards tbody,.cards tr,.cards td,.cards th{display:block}\n"
    ".cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\n"
    ".cards tr{border:1px solid var(--line);border-radius:9px;padding:9px 13px;margin:10px 0}\n"
    ".cards td,.cards tbody th{border:0;padding:3px 0;text-align:right;white-space:normal}\n"
    ".cards td{display:flex;justify-content:space-between;gap:16px;align-items:baseline}\n"
    ".cards "
    "td:before{content:attr(data-l);color:var(--soft);text-align:left;font-size:.92em;flex:none;"
    "max-width:55%}\n"
    ".cards td>span{overflow-wrap:anywhere;min-width:0}\n"
    ".cards tbody th{text-align:left;font-size:1rem}.cards td.n small{display:inline}\n"
    "small.why{min-width:0}\n"
    ".forest .n b{min-width:0}.forest>.n small{display:block}\n"
    ".pair{grid-template-columns:minmax(0,1fr)}figure{max-width:none}figcaption{min-height:0}\n"
    "dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}\n"
    "@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--faint:#eee;"
    "--blue:#0069a8;--red:#c25400;--green:#00785a;--purple:#a8487f;--gold:#a87400;--sky:#2a8fc4;"
    "--cell:#2b6ea6}body{font-size:10pt}nav{display:none}section{border:0;padding:0}"
    "article,figure,tr{break-inside:avoid}h2,h3{break-after:avoid}.box{overflow:visible}}\n";

void eg_page_style(eg_page *p) {
    eg_page_raw(p, palette);
    eg_page_raw(p, text_style);
    eg_page_raw(p, table_style);
    eg_page_raw(p, figure_style);
    eg_page_raw(p, row_style);
    if (p->set != NULL) eg_page_raw(p, set_style);
    eg_page_raw(p, narrow_style);
}
