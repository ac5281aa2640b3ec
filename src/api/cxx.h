/* C++ operators that the program defines itself; see cxx.c. */
#ifndef API_CXX_H
#define API_CXX_H

struct symtab_list;
void cxx_find_replaced(const struct symtab_list *libraries); /* constructor */

#endif
