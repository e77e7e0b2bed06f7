/** What a failed start means for the exit code, read off the runtime's text as Docker does. */

/** 127 for a command that is not there, 126 for one that may not run, `otherwise` for the rest. */
export function failureExitCode(message: string, otherwise: number): number {
  const text = message.toLowerCase()
  if (/executable file not found|no such file or directory/.test(text)) return 127
  if (/permission denied|is a directory/.test(text)) return 126
  return text.includes('not a directory') ? 127 : otherwise
}
