/* C++ operators that the program defines itself; see cxx.c. */
#ifndef API_CXX_H
#define API_CXX_H

void cxx_find_replaced(void); /* constructor */

#endif
