# gcrun --pid, --stats and --doctor on processes that live.
gcm_test_program(control_target ${CMAKE_CURRENT_LIST_DIR}/control_target.c)
add_test(NAME control.pid
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/control.sh $<TARGET_FILE:gcrun> $<TARGET_FILE:control_target>)
set_tests_properties(control.pid PROPERTIES LABELS quick TIMEOUT 240 SKIP_RETURN_CODE 77)

gcm_test_program(snapshot_target ${CMAKE_CURRENT_LIST_DIR}/snapshot_target.c)
target_link_libraries(snapshot_target PRIVATE gcmalloc)
add_test(NAME control.snapshot
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/snapshot.sh $<TARGET_FILE:gcrun> $<TARGET_FILE:snapshot_target>
  $<TARGET_FILE:control_target> $<TARGET_FILE:trap_python> $<TARGET_FILE:trap_fontconfig>)
set_tests_properties(control.snapshot PROPERTIES LABELS quick TIMEOUT 240 SKIP_RETURN_CODE 77)

# A leak and a chain in a program of the distribution, which has no symbols.
add_library(planted_module MODULE ${CMAKE_CURRENT_LIST_DIR}/planted_module.c)
target_compile_options(planted_module PRIVATE -g -O2 -fvisibility=hidden)
add_test(NAME control.planted_module
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/planted_module.sh $<TARGET_FILE:gcrun> $<TARGET_FILE:planted_module>
  ${CMAKE_CURRENT_LIST_DIR}/planted_module.c)
set_tests_properties(control.planted_module PROPERTIES LABELS quick TIMEOUT 240 SKIP_RETURN_CODE 77)
