# Checks of the linked library.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT GCMALLOC_CHECKING)
  add_test(NAME lint.export_fast
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/export_fast.sh ${CMAKE_OBJDUMP} $<TARGET_FILE:gcmalloc>)
  add_test(NAME lint.export_fast_selftest
    COMMAND ${CMAKE_CURRENT_LIST_DIR}/export_fast_selftest.sh ${CMAKE_C_COMPILER} ${CMAKE_OBJDUMP})
  set_tests_properties(lint.export_fast lint.export_fast_selftest PROPERTIES LABELS quick TIMEOUT 60)
endif()
add_test(NAME lint.export_man COMMAND ${CMAKE_CURRENT_LIST_DIR}/export_man.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(lint.export_man PROPERTIES LABELS quick TIMEOUT 60)
