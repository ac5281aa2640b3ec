# Checks of the linked libraries; the scripts say what each is for.
set(lint ${CMAKE_CURRENT_LIST_DIR})
function(export_test name)
  add_test(NAME lint.export_${name} COMMAND bash ${lint}/export_${name}.sh ${ARGN})
  set_tests_properties(lint.export_${name} PROPERTIES LABELS quick TIMEOUT 120)
endfunction()

export_test(names ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER} ${CMAKE_NM} $<TARGET_FILE:gcmalloc>
  $<TARGET_FILE:gcmalloc_static>)
export_test(collisions ${CMAKE_NM} $<TARGET_FILE:gcmalloc>)
export_test(tls ${CMAKE_READELF} $<TARGET_FILE:gcmalloc>)
export_test(man ${PROJECT_SOURCE_DIR})
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT GCMALLOC_CHECKING)
  export_test(fast ${CMAKE_OBJDUMP} $<TARGET_FILE:gcmalloc>)
  export_test(fast_selftest ${CMAKE_C_COMPILER} ${CMAKE_OBJDUMP})
endif()
