# From the first word on that is no option, it is the app's command line, and completed as if it stood alone.
_reprieve_or_command() {
    local at=1
    while ((at < COMP_CWORD)); do
        case "${COMP_WORDS[at]}" in
        --)
            ((at += 1))
            break
            ;;
        {{options with a value}})
            # bash splits at `=`, and the value comes after it.
            [[ ${COMP_WORDS[at + 1]} == = ]] && ((at += 1))
            ((at += 2))
            ;;
        -*) ((at += 1)) ;;
        *) break ;;
        esac
    done
    if ((at > COMP_CWORD)) || { ((at == COMP_CWORD)) && [[ ${COMP_WORDS[at]} == -* && ${COMP_WORDS[at - 1]} != -- ]]; }; then
        _reprieve "$@"
    elif declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$at"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$at"
    elif ((at == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2")
    else
        # Nothing of ours: the names of files, by `-o default`.
        COMPREPLY=()
    fi
}
