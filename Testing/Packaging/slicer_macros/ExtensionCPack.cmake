# Stand-in for the file that describes and packages an extension: the description is made from its metadata and installed.
if(NOT "${EXTENSION_NAME}" STREQUAL "${PROJECT_NAME}")
  message(FATAL_ERROR "Slicer_EXTENSION_CPACK: the extension's name '${EXTENSION_NAME}' is not the project's, '${PROJECT_NAME}'")
endif()

set(_description)
foreach(_key IN ITEMS HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${_key}}" STREQUAL "")
    message(FATAL_ERROR "Slicer_EXTENSION_CPACK: EXTENSION_${_key} is not set")
  endif()
  string(TOLOWER "${_key}" _name)
  string(APPEND _description "${_name} ${EXTENSION_${_key}}\n")
endforeach()

set(_description_file "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext")
file(WRITE "${_description_file}" "${_description}")
install(FILES "${_description_file}" DESTINATION "${Slicer_INSTALL_ROOT}${Slicer_SHARE_DIR}" COMPONENT RuntimeLibraries)
