/* Door of the report room: documents (eg_doc) -> terminal text and HTML. Its functions are public: eg_report_terminal
 * and eg_report_html in engraft.h. Knows nothing of networks: it reads the JSON fields of doc/documents.md only. */
#ifndef EG_REPORT_H
#define EG_REPORT_H

#include "codec/codec.h"

#endif
